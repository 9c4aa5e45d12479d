import { generateKeyInput, publishApiInput } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { schema } from "@tollgate/db";
import { createLogger, newId, randomBase62, systemClock, toMicros } from "@tollgate/kernel";
import type { ServiceContext } from "@tollgate/services";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { creditWallet } from "@tollgate/services/balance";
import { seedTiers } from "@tollgate/services/billing";
import { publishApi } from "@tollgate/services/catalog";
import { generateKeyText, importKey } from "@tollgate/services/keys";
import { provisionCustomer } from "@tollgate/services/seed";

/** What a caller needs, and what is asked afterwards. */
export interface SeededProduct {
  readonly key: string;
  readonly projectId: string;
  readonly billingAccountId: string;
}

export const PRICE_MICROS = 1_000n;
/** The path of a call: an API named `bench` with the endpoint `weather`. */
export const CALL_PATH = "/v1/bench/weather";
/** The path of a call whose answer is a mebibyte. */
export const STREAM_PATH = "/v1/bench/archive";

const CREDIT_MICROS = 1_000_000_000_000n;
/** Limits of the key and of its tier that are checked and never reached: the comparison has one as well. */
const CALLS_PER_SECOND = 1_000_000;

/** The context of the benchmark as an internal task of the product. */
export function benchContext(database: Database, masterSecret: string): ServiceContext {
  return {
    clock: systemClock,
    logger: createLogger({ name: "bench", level: "warn" }),
    actor: { kind: "system", task: "bench" },
    requestId: newId("request"),
    database,
    db: database.db,
    isInTransaction: false,
    settings: {
      masterSecret,
      publicApiUrl: "http://127.0.0.1",
      publicGatewayUrl: "http://127.0.0.1",
      publicWebUrl: "http://127.0.0.1",
      ...LIVE_SETTING_DEFAULTS,
    },
  };
}

/** An account with a million of credit, a live key with rate limits, and an API with paid endpoints. */
export async function seedProduct(ctx: ServiceContext, upstreamUrl: string): Promise<SeededProduct> {
  await seedTiers({ ctx });
  await ctx.db.update(schema.tiers).set({ rateLimitPerSecond: CALLS_PER_SECOND });
  const input = { email: "bench@example.com", password: randomBase62(24), isOperator: false };
  const { projectId, billingAccountId } = await provisionCustomer({ ctx, input });
  await creditWallet(ctx, {
    billingAccountId,
    micros: toMicros(CREDIT_MICROS),
    source: "promo",
    idempotencyKey: "bench-credit",
    reference: "Credit to spend on a benchmark",
    visible: true,
  });
  const key = generateKeyText("live");
  const settings = generateKeyInput.parse({ projectId, name: "bench", rateLimitPerSecond: CALLS_PER_SECOND });
  await importKey({ ctx, input: { ...settings, key } });
  await publishApi({
    ctx,
    input: publishApiInput.parse({
      name: "bench",
      displayName: "Benchmark",
      description: "One paid endpoint on a very cheap upstream",
      category: "benchmarks",
      openapi: {
        openapi: "3.1.0",
        info: { title: "Benchmark", version: "1.0.0" },
        paths: {
          "/weather": { get: { responses: { "200": { description: "The weather" } } } },
          "/archive": { get: { responses: { "200": { description: "All of the weather" } } } },
        },
      },
      upstreamUrls: [upstreamUrl],
      endpoints: ["weather", "archive"].map((name) => ({
        name,
        method: "GET",
        path: `/${name}`,
        priceMicros: PRICE_MICROS.toString(),
      })),
    }),
  });
  return { key, projectId, billingAccountId };
}
