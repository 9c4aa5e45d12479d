import type { Database } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import { RedisRateStore } from "@tollgate/messaging";
import { countOtherHolders } from "@tollgate/services/budgets";
import type { RateSettings } from "@tollgate/services/keys";
import type { GatewayEnv } from "../env.ts";
import { RATE_BEAT_MS, RateLimiter } from "./rateLimiter.ts";

/** A key's calls count under as many limits: its own, its project's, its tier's. */
const LIMITS_PER_KEY = 3;

/** The rate limits of a gateway, over a connection to Redis of their own. */
export function openRates(options: {
  readonly env: GatewayEnv;
  readonly runId: string;
  readonly settings: RateSettings;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}): { readonly rates: RateLimiter; close(): Promise<void> } {
  const { env, runId, settings, database, clock, logger } = options;
  const store = new RedisRateStore({
    redisUrl: env.REDIS_URL,
    prefix: env.QUEUE_PREFIX,
    onError: (error) => logger.debug({ err: error }, "Redis"),
  });
  const rates = new RateLimiter({
    store,
    name: runId,
    settings: () => settings,
    logger,
    limitsMax: LIMITS_PER_KEY * env.GATEWAY_KEY_CACHE_MAX,
    tick: () => performance.now(),
    countOthers: () => countOtherHolders(database, clock, runId),
    delay,
  });
  const beating = setInterval(() => void rates.beat(), RATE_BEAT_MS);
  const close = async (): Promise<void> => {
    clearInterval(beating);
    await store.leave(runId).catch((error: unknown) => logger.debug({ err: error }, "rates"));
    store.close();
  };
  return { rates, close };
}
