import { existsSync, readFileSync } from "node:fs";
import { createDatabase } from "@tollgate/db";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import type { CheckResult } from "@tollgate/services/checks";
import { checkBooks } from "@tollgate/services/checks";
import { checkBooksEnv } from "./env.ts";

/**
 * `npm run check:books`: compares everything in the books that must be equal and says what is not. It looks at the
 * database in `DATABASE_URL`, or at that of the running development system. Exit code 1 when the books do not balance.
 */
const READY_FILE = ".dev/ready.json";

const databaseUrl = checkBooksEnv().DATABASE_URL ?? developmentUrl();
if (databaseUrl === undefined) {
  console.error(`Set DATABASE_URL, or start the development system first (npm run dev writes ${READY_FILE}).`);
  process.exit(2);
}
const database = createDatabase({ url: databaseUrl, applicationName: "check:books", connectionsMax: 2 });
const results = await checkBooks({
  ctx: {
    database,
    db: database.db,
    isInTransaction: false,
    clock: systemClock,
    logger: silentLogger,
    actor: { kind: "system", task: "check:books" },
    requestId: newId("request"),
    settings: {
      masterSecret: "",
      publicApiUrl: "",
      publicGatewayUrl: "",
      publicWebUrl: "",
      ...LIVE_SETTING_DEFAULTS,
    },
  },
});
await database.close();
for (const result of results) print(result);
const broken = results.filter((result) => !result.ok).length;
console.info(broken === 0 ? "\nThe books balance." : `\n${broken} of ${results.length} checks failed.`);
process.exitCode = broken === 0 ? 0 : 1;

function developmentUrl(): string | undefined {
  if (!existsSync(READY_FILE)) return undefined;
  return (JSON.parse(readFileSync(READY_FILE, "utf8")) as { databaseUrl?: string }).databaseUrl;
}

function print({ ok, claim, differences }: CheckResult): void {
  console.info(`${ok ? "  ok  " : "BROKEN"}  ${claim}`);
  for (const { subject, left, right } of differences) {
    console.info(`          ${subject}: ${left} ≠ ${right} (off by ${BigInt(left) - BigInt(right)})`);
  }
}
