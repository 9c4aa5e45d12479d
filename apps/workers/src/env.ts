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
  /** The account at Mixpanel that hears of events; without its API secret, nobody does. */
  MIXPANEL_API_SECRET: z.string().min(1).optional(),
  /** Both are needed to have a person forgotten there. */
  MIXPANEL_PROJECT_TOKEN: z.string().min(1).optional(),
  MIXPANEL_GDPR_TOKEN: z.string().min(1).optional(),
  MIXPANEL_API_BASE: z.url().default("https://api.mixpanel.com"),
  /** The audience at Mailchimp; without a key there is none. */
  MAILCHIMP_API_KEY: z.string().min(1).optional(),
  MAILCHIMP_LIST_ID: z.string().min(1).optional(),
  /** Another server than the one that the key names, as in development. */
  MAILCHIMP_API_BASE: z.url().optional(),
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
