import { createDatabase } from "@tollgate/db";
import { createLogger, newId, systemClock } from "@tollgate/kernel";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { seedEnv } from "./env.ts";
import { seed } from "./seed.ts";
import { fixedSettingsOf, settingDefaultsOf } from "./settings.ts";

/** The seed as a command. The last line of its output is one JSON object: who may sign in, and the demo's key. */
const env = seedEnv();
const database = createDatabase({ url: env.DATABASE_URL, connectionsMax: 2, applicationName: "tollgate-seed" });
try {
  const seeded = await seed(
    {
      clock: systemClock,
      logger: createLogger({ name: "seed", level: env.LOG_LEVEL }),
      actor: { kind: "system", task: "seed" },
      requestId: newId("request"),
      database,
      db: database.db,
      isInTransaction: false,
      settings: { ...fixedSettingsOf(env), ...LIVE_SETTING_DEFAULTS, ...settingDefaultsOf(env) },
    },
    {
      admin: { email: env.ADMIN_EMAIL, password: env.ADMIN_PASSWORD },
      demo: { email: env.DEMO_EMAIL, password: env.DEMO_PASSWORD },
      demoKey: env.DEMO_KEY,
    },
  );
  process.stdout.write(`${JSON.stringify(seeded)}\n`);
} finally {
  await database.close();
}
