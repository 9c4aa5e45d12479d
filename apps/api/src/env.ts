import { emailInput } from "@tollgate/contracts";
import { commonEnv, parseEnv, parseMicros, sellerEnv, splitList, toMasterKeys } from "@tollgate/kernel";
import { z } from "zod";

/** `name=token,name=token`: who may call as a service, and with what. */
export const serviceTokensSchema = z
  .string()
  .default("")
  .transform((text, context): ReadonlyMap<string, string> => {
    const tokens = new Map<string, string>();
    for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
      const match = /^([a-z][a-z0-9-]{0,62})=(\S{16,})$/.exec(pair.trim());
      if (match?.[1] === undefined || match[2] === undefined || tokens.has(match[1])) {
        context.addIssue({
          code: "custom",
          message: "Must be name=token,…: names once, tokens of 16 characters or more",
        });
        return z.NEVER;
      }
      tokens.set(match[1], match[2]);
    }
    return tokens;
  });

const withoutTrailingSlash = z.url().transform((url) => url.replace(/\/+$/, ""));

/** What every process of the control plane that runs verbs reads. */
export const serviceEnv = {
  ...commonEnv,
  TOLLGATE_SECRET: z.string().min(32, { error: "Must have at least 32 characters" }),
  MASTER_KEYS: z.string().default("").transform(toMasterKeys),
  PUBLIC_API_URL: withoutTrailingSlash,
  PUBLIC_GATEWAY_URL: withoutTrailingSlash,
  /** The dashboard, where links in mails lead. Without one, the control plane's own address. */
  PUBLIC_WEB_URL: withoutTrailingSlash.optional(),
  SIGNUP_PROMO_MICROS: z
    .string()
    .regex(/^\d{1,18}$/)
    .default("0")
    .transform(parseMicros),
  FREE_CALL_OVER_CAP_PRICE_MICROS: z
    .string()
    .regex(/^\d{1,18}$/)
    .default("1")
    .transform(parseMicros),
  OUTBOUND_ALLOWED_NETWORKS: z.string().default("").transform(splitList),
};

const apiSchema = z.object({
  ...serviceEnv,
  ...sellerEnv,
  QUEUE_PREFIX: z.string().default("tollgate"),
  SERVICE_TOKENS: serviceTokensSchema,
  API_HOST: z.string().min(1).default("127.0.0.1"),
  API_PORT: z.coerce.number().int().min(0).max(65_535).default(4000),
  DATABASE_CONNECTIONS_MAX: z.coerce.number().int().min(1).max(500).default(20),
  /** Origins whose pages may call with a token, separated by commas. In development pages of this machine may as well. */
  CORS_ORIGINS: z
    .string()
    .default("")
    .transform((text) =>
      text
        .split(",")
        .map((origin) => origin.trim())
        .filter((origin) => origin !== ""),
    ),
  /** Registrations for signing in with Google and GitHub; without one the provider is not offered. */
  GOOGLE_CLIENT_ID: z.string().min(1).optional(),
  GOOGLE_CLIENT_SECRET: z.string().min(1).optional(),
  GOOGLE_ISSUER: withoutTrailingSlash.default("https://accounts.google.com"),
  GITHUB_CLIENT_ID: z.string().min(1).optional(),
  GITHUB_CLIENT_SECRET: z.string().min(1).optional(),
  /** Another host for GitHub Enterprise. */
  GITHUB_BASE_URL: withoutTrailingSlash.default("https://github.com"),
  /** The account at Stripe; without a key the deployment takes no payments. */
  STRIPE_SECRET_KEY: z.string().min(1).optional(),
  STRIPE_PUBLISHABLE_KEY: z.string().min(1).optional(),
  /** Signing secrets of the webhook endpoints, separated by commas: of live mode, and of test mode. */
  STRIPE_WEBHOOK_SECRET: z.string().default(""),
  STRIPE_WEBHOOK_SECRET_TEST: z.string().default(""),
  /** Another server than Stripe's, as in development. */
  STRIPE_API_BASE: z.url().optional(),
  /** The one currency of the deployment. */
  STRIPE_CURRENCY: z
    .string()
    .regex(/^[a-z]{3}$/)
    .default("usd"),
  /** How many proxies of ours stand in front and append to X-Forwarded-For. 0: the header is not believed. */
  TRUSTED_PROXY_HOPS: z.coerce.number().int().min(0).max(8).default(0),
});

export type ApiEnv = z.output<typeof apiSchema>;

export const apiEnv = (): ApiEnv => parseEnv(apiSchema);

const seedSchema = z.object({
  ...serviceEnv,
  // The seed talks to the database alone.
  REDIS_URL: z.string().optional(),
  NATS_URL: z.string().optional(),
  ETCD_URL: z.string().optional(),
  PUBLIC_API_URL: withoutTrailingSlash.default("http://127.0.0.1:4000"),
  PUBLIC_GATEWAY_URL: withoutTrailingSlash.default("http://127.0.0.1:4100"),
  ADMIN_EMAIL: emailInput,
  ADMIN_PASSWORD: z.string().min(10),
  DEMO_EMAIL: emailInput,
  DEMO_PASSWORD: z.string().min(10),
  DEMO_KEY: z.string().min(1).optional(),
});

export type SeedEnv = z.output<typeof seedSchema>;

export const seedEnv = (): SeedEnv => parseEnv(seedSchema);
