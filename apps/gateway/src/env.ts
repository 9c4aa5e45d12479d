import { commonEnv, parseEnv, toMasterKeys } from "@tollgate/kernel";
import { z } from "zod";

/** What a gateway reads from its environment, once, at start. */
const gatewayEnvSchema = z.object({
  ...commonEnv,
  TOLLGATE_SECRET: z.string().min(32),
  /** Open the credentials of upstreams. */
  MASTER_KEYS: z.string().default("").transform(toMasterKeys),
  PUBLIC_API_URL: z.url(),
  GATEWAY_HOST: z.string().default("0.0.0.0"),
  GATEWAY_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Where finished calls are kept until they are folded. It must survive a restart and belong to this gateway alone. */
  GATEWAY_SPOOL_DIR: z.string().min(1),
  /** `off`: a crash of the machine (not of the process) may lose the last moments. `on`: nothing, for more disk work. */
  GATEWAY_SPOOL_FSYNC: z.enum(["on", "off"]).default("off"),
  /** Prefix of queue names in Redis. */
  QUEUE_PREFIX: z.string().default("tollgate"),
  /** Seconds of a warm project's spending that a gateway holds. */
  GATEWAY_SLICE_SECONDS: z.coerce.number().min(0.1).max(60).default(3),
  FREE_CALL_OVER_CAP_PRICE_MICROS: z.coerce.number().int().min(0).default(1),
  /** Connections to one upstream instance, and as many for requests with a body. */
  GATEWAY_UPSTREAM_CONNECTIONS: z.coerce.number().int().min(1).max(10_000).default(256),
  /**
   * Seconds that a stop waits for the calls in flight before it cuts them off. It takes up to ten more for what they leave
   * behind, and whoever stops it must grant both.
   */
  GATEWAY_DRAIN_SECONDS: z.coerce.number().min(0).max(3_600).default(8),
  /** How many proxies of ours stand in front and append to X-Forwarded-For. 0: the header is not believed. */
  TRUSTED_PROXY_HOPS: z.coerce.number().int().min(0).max(8).default(0),
  GATEWAY_KEY_CACHE_MAX: z.coerce.number().int().min(1_000).default(200_000),
});

export type GatewayEnv = z.infer<typeof gatewayEnvSchema>;
export const gatewayEnv = (): GatewayEnv => parseEnv(gatewayEnvSchema);
