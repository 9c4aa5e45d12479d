import { createEtcdStore } from "@tollgate/config";
import { createDatabase } from "@tollgate/db";
import { createLogger, delay, systemClock, toSeller } from "@tollgate/kernel";
import { PushBus, Queues, RateGate, RedisRateStore } from "@tollgate/messaging";
import { settingsFrom } from "@tollgate/services";
import { openConfig } from "@tollgate/services/admin";
import { createAccessTokenAuthenticator, createTokenIssuer } from "@tollgate/services/customers";
import { startTracing } from "@tollgate/telemetry";
import { ServiceTokens } from "./authentication.ts";
import { createApiServer } from "./createApiServer.ts";
import { apiEnv } from "./env.ts";
import { oauthProvidersOf } from "./oauthRegistrations.ts";
import { fixedSettingsOf, settingDefaultsOf } from "./settings.ts";
import { stripeAccountOf } from "./stripeAccount.ts";

/** How long a start waits for the settings. Without them it answers, but changes nothing that depends on one. */
const SETTINGS_WAIT_MS = 3_000;

/** The control plane as a process: reads its environment, puts the parts together, runs until it is told to stop. */
const env = apiEnv();
const logger = createLogger({ name: "api", level: env.LOG_LEVEL });
const tracing = startTracing({
  service: "tollgate-api",
  endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  sampleRatio: env.OTEL_TRACES_SAMPLER_ARG,
});
const clock = systemClock;
const database = createDatabase({
  url: env.DATABASE_URL,
  connectionsMax: env.DATABASE_CONNECTIONS_MAX,
  applicationName: "tollgate-api",
});
const store = createEtcdStore({ url: env.ETCD_URL, clock, logger });
const config = openConfig({
  store,
  database,
  clock,
  logger,
  defaults: { ...settingDefaultsOf(env), logLevel: env.LOG_LEVEL },
});
await config.waitUntilKnown(SETTINGS_WAIT_MS);
const seller = toSeller(env);
const settings = settingsFrom(
  { ...fixedSettingsOf(env), ...(seller === undefined ? {} : { seller }), currency: env.STRIPE_CURRENCY },
  config,
);
const tokenIssuer = createTokenIssuer({ database, settings, clock });
const bus = new PushBus({ url: env.NATS_URL, name: "api", logger });
const rateStore = new RedisRateStore({
  redisUrl: env.REDIS_URL,
  prefix: env.QUEUE_PREFIX,
  onError: (error) => logger.debug({ err: error }, "Redis"),
});
const queues = new Queues({
  redisUrl: env.REDIS_URL,
  prefix: env.QUEUE_PREFIX,
  onError: (error) => logger.debug({ err: error }, "Redis"),
});
const server = await createApiServer({
  resources: {
    database,
    clock,
    logger,
    settings,
    config,
    tokenIssuer,
    oauthProviders: oauthProvidersOf(env),
    stripe: stripeAccountOf(env),
    accessTokens: createAccessTokenAuthenticator({ database, tokenIssuer, clock }),
    serviceTokens: new ServiceTokens(env.SERVICE_TOKENS),
    trustedProxyHops: env.TRUSTED_PROXY_HOPS,
    bus,
    rates: new RateGate(rateStore, delay),
    queues,
  },
  dependencies: { redisUrl: env.REDIS_URL, natsUrl: env.NATS_URL, etcdUrl: env.ETCD_URL },
  cors: { origins: env.CORS_ORIGINS, allowsLocalhost: env.NODE_ENV === "development" },
});
const { url } = await server.listen(env.API_HOST, env.API_PORT);
logger.info({ url }, "listening");

let isStopping = false;
async function stop(signal: string): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  logger.info({ signal }, "stopping");
  try {
    await server.close();
    await bus.close();
    rateStore.close();
    await queues.close();
    config.close();
    store.close();
    await database.close();
    await tracing.stop();
    logger.info("stopped");
  } catch (error) {
    logger.fatal({ err: error }, "did not stop cleanly");
    process.exitCode = 1;
  }
}
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, stop);
