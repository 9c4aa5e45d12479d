import { commonEnv, parseEnv, sellerEnv, splitList } from "@tollgate/kernel";
import { z } from "zod";

/** What a worker reads from its environment, once, at start. */
const workersEnvSchema = z.object({
  ...commonEnv,
  ...sellerEnv,
  TOLLGATE_SECRET: z.string().min(32),
  PUBLIC_API_URL: z.url(),
  PUBLIC_GATEWAY_URL: z.url(),
  /** The dashboard, where links in mails lead. Without one, the control plane's own address. */
  PUBLIC_WEB_URL: z
    .url()
    .transform((url) => url.replace(/\/+$/, ""))
    .optional(),
  WORKERS_HOST: z.string().default("0.0.0.0"),
  WORKERS_PORT: z.coerce.number().int().min(0).max(65_535).default(8081),
  SMTP_URL: z.url(),
  MAIL_FROM: z.string().min(3),
  /** The account at Stripe; without a key the deployment takes no payments. */
  STRIPE_SECRET_KEY: z.string().min(1).optional(),
  /** Another server than Stripe's, as in development. */
  STRIPE_API_BASE: z.url().optional(),
  /** The one currency of the deployment. */
  STRIPE_CURRENCY: z
    .string()
    .regex(/^[a-z]{3}$/)
    .default("usd"),
  QUEUE_PREFIX: z.string().default("tollgate"),
  OUTBOUND_ALLOWED_NETWORKS: z.string().default("").transform(splitList),
  /** Batches of calls that are folded at the same time. */
  METERING_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(4),
});

export type WorkersEnv = z.infer<typeof workersEnvSchema>;
export const workersEnv = (): WorkersEnv => parseEnv(workersEnvSchema);

/** The books can be checked without knowing where the rest of the system is. */
export const checkBooksEnv = (): { DATABASE_URL?: string | undefined } =>
  parseEnv(z.object({ DATABASE_URL: commonEnv.DATABASE_URL.optional() }));
