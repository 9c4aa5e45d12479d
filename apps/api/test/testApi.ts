import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import { newId, silentLogger, TestClock } from "@tollgate/kernel";
import type { PushBus, Queues } from "@tollgate/messaging";
import type { ProductConfig, ServiceContext, ServiceSettings } from "@tollgate/services";
import { LIVE_SETTING_DEFAULTS, settingsFrom } from "@tollgate/services";
import { seedTiers } from "@tollgate/services/billing";
import { createAccessTokenAuthenticator, createTokenIssuer } from "@tollgate/services/customers";
import { createOauthProviders } from "@tollgate/services/oauth";
import { createStripeAccount } from "@tollgate/services/payments";
import { createTestDatabase, testUrls } from "@tollgate/testing";
import type { StripeStandIn } from "@tollgate/testing/stripe";
import { startStripeStandIn } from "@tollgate/testing/stripe";
import { ServiceTokens } from "../src/authentication.ts";
import type { ApiServer } from "../src/createApiServer.ts";
import { createApiServer } from "../src/createApiServer.ts";
import { openTestConfig } from "./testConfig.ts";

/** The control plane as it is deployed, over HTTP, on a database and a clock of its own. */
export interface TestApi {
  readonly url: string;
  readonly databaseUrl: string;
  readonly database: Database;
  readonly clock: TestClock;
  /** Stripe, on the same clock. */
  readonly stripe: StripeStandIn;
  readonly serviceToken: string;
  /** The context of the machinery, for what no procedure does. */
  readonly system: ServiceContext;
  close(): Promise<void>;
}

const SERVICE_TOKEN = "svc_of-the-tables-0123456789";
const SETTINGS: ServiceSettings = {
  masterSecret: "0123456789abcdef0123456789abcdef",
  publicApiUrl: "http://api.test",
  publicGatewayUrl: "http://gateway.test",
  publicWebUrl: "http://app.test",
  ...LIVE_SETTING_DEFAULTS,
};

/** With a bus, its streams hear of changes; without, they look for them. */
export async function startTestApi(
  options: { readonly bus?: PushBus; readonly queues?: Queues } = {},
): Promise<TestApi> {
  const testDatabase = await createTestDatabase();
  const database = createDatabase({ url: testDatabase.url, applicationName: "api-test" });
  const clock = new TestClock();
  const system: ServiceContext = {
    clock,
    logger: silentLogger,
    actor: { kind: "system", task: "test" },
    requestId: newId("request"),
    database,
    db: database.db,
    isInTransaction: false,
    settings: SETTINGS,
  };
  await seedTiers({ ctx: system });
  const { config, close: closeConfig } = await openTestConfig(database, clock);
  const stripe = await startStripeStandIn({ clock });
  const api = await createServer({ database, clock, config, bus: options.bus, queues: options.queues, stripe });
  const { url } = await api.listen("127.0.0.1", 0);
  return {
    url,
    databaseUrl: testDatabase.url,
    database,
    clock,
    stripe,
    serviceToken: SERVICE_TOKEN,
    system,
    close: async () => {
      await api.close(1_000);
      closeConfig();
      await stripe.stop();
      await database.close();
      await testDatabase.drop();
    },
  };
}

/** Of the endpoint to which the suites send events. */
export const WEBHOOK_SECRET = "whsec_of_the_tables";

function createServer({
  database,
  clock,
  config,
  bus,
  queues,
  stripe,
}: {
  readonly database: Database;
  readonly clock: TestClock;
  readonly config: ProductConfig;
  readonly bus: PushBus | undefined;
  readonly queues: Queues | undefined;
  readonly stripe: StripeStandIn;
}): Promise<ApiServer> {
  const tokenIssuer = createTokenIssuer({ database, settings: SETTINGS, clock });
  const { redisUrl, natsUrl, etcdUrl } = testUrls();
  return createApiServer({
    resources: {
      database,
      clock,
      logger: silentLogger,
      settings: settingsFrom(SETTINGS, config),
      config,
      tokenIssuer,
      oauthProviders: createOauthProviders({
        // Nobody listens there: a sign-in can be started, and that asks GitHub nothing.
        registrations: { github: { clientId: "test", clientSecret: "secret", baseUrl: "http://127.0.0.1:9" } },
        publicApiUrl: SETTINGS.publicApiUrl,
        returnOrigins: [SETTINGS.publicWebUrl],
        allowsLocalhost: false,
      }),
      stripe: createStripeAccount({
        secretKey: stripe.secretKey,
        publishableKey: stripe.publishableKey,
        webhookSecrets: [WEBHOOK_SECRET],
        currency: "usd",
        apiBase: stripe.url,
      }),
      accessTokens: createAccessTokenAuthenticator({ database, tokenIssuer, clock }),
      serviceTokens: new ServiceTokens(new Map([["robot", SERVICE_TOKEN]])),
      trustedProxyHops: 0,
      ...(bus === undefined ? {} : { bus }),
      ...(queues === undefined ? {} : { queues }),
    },
    dependencies: { redisUrl, natsUrl, etcdUrl },
    cors: { origins: [], allowsLocalhost: false },
  });
}
