import { z } from "zod";

/**
 * Reads a process's environment once, at start. Every app has one `env.ts` that calls this with its schema; nothing else
 * looks at the environment.
 * @throws Error that names every variable that is missing or wrong, and says nothing of their values.
 */
export function parseEnv<Schema extends z.ZodType>(
  schema: Schema,
  source: Record<string, string | undefined> = process.env,
): z.output<Schema> {
  const parsed = schema.safeParse(source);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`The environment is not complete:\n${problems.join("\n")}`);
}

/** The parts of a list that is separated by commas; for {@link parseEnv}'s schemas. */
export const splitList = (text: string): readonly string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** One or several addresses separated by commas. */
const addresses = (scheme: string) =>
  z.string().refine((text) => splitList(text).length > 0 && splitList(text).every((one) => isAddress(one, scheme)), {
    error: "Must be an address, or several separated by commas",
  });

const isAddress = (text: string, scheme: string): boolean =>
  URL.canParse(text.includes("://") ? text : `${scheme}://${text}`);

/** Variables that every process reads. */
export const commonEnv = {
  NODE_ENV: z.enum(["development", "test", "production"]).default("development"),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  DATABASE_URL: z.url(),
  REDIS_URL: z.url(),
  /** One address, or several of the same cluster separated by commas; so with etcd. */
  NATS_URL: addresses("nats"),
  ETCD_URL: addresses("http"),
  /** Where a collector takes traces, as OTLP over HTTP; without it nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url()
    .transform((url) => url.replace(/\/+$/, ""))
    .optional(),
  /** The part of all traces that is recorded; the same for every process. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(0.05),
};

/** Who invoices are from, for the processes that make invoices; {@link toSeller} puts it together. */
export const sellerEnv = {
  SELLER_NAME: z.string().max(200).optional(),
  SELLER_ADDRESS_LINE1: z.string().max(200).optional(),
  SELLER_ADDRESS_LINE2: z.string().max(200).optional(),
  SELLER_CITY: z.string().max(200).optional(),
  SELLER_REGION: z.string().max(200).optional(),
  SELLER_POSTAL_CODE: z.string().max(200).optional(),
  SELLER_COUNTRY: z
    .string()
    .regex(/^([A-Z]{2})?$/, { error: "Must be a country code of two letters" })
    .optional(),
  SELLER_TAX_ID: z.string().max(200).optional(),
  /** Compose passes what is not set as an empty text. */
  SELLER_EMAIL: z.union([z.literal(""), z.email()]).optional(),
};
