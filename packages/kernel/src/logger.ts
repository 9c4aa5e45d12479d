import type { DestinationStream, Logger } from "pino";
import { pino } from "pino";

/** Fields that never reach a log, wherever they are nested one or two levels deep. */
const SECRET_FIELDS = [
  "password",
  "code",
  "token",
  "accessToken",
  "refreshToken",
  "key",
  "secret",
  "authorization",
  "cookie",
  "email",
];

/** The logger of one process. Secrets and personal data are removed by field name. */
export function createLogger(options: { name: string; level: string }, destination?: DestinationStream): Logger {
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name, pid: process.pid },
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: "[redacted]",
      },
      serializers: { err: (error: unknown) => serializeError(error) },
    },
    destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

/** What an error may say of itself besides its text. Others quote rows, parameters, requests and answers. */
const ERROR_FIELDS = [
  "reason",
  "status",
  "statusCode",
  "errno",
  "syscall",
  "severity",
  "constraint_name",
  "table_name",
];
const CAUSES_MAX = 5;

/**
 * An error with its text and its causes, without what it carries along: errors of a database hold the values of the
 * statement, those of HTTP clients whole requests. An error's `code` is what a log must say of it, and a field of that name
 * is a mailed code anywhere else: so it moves.
 */
function serializeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === "string" ? withoutSecrets(error) : { type: typeof error };
  const fields = error as unknown as Readonly<Record<string, unknown>>;
  const said = ERROR_FIELDS.flatMap((field) => {
    const value = fields[field];
    return typeof value === "string" || typeof value === "number" ? [[field, value] as const] : [];
  });
  const { code } = fields;
  return {
    type: error.name,
    message: withoutSecrets(error.message),
    stack: withoutSecrets(error.stack ?? ""),
    ...Object.fromEntries(said),
    ...(typeof code === "string" || typeof code === "number" ? { errorCode: code } : {}),
    ...(error.cause === undefined || depth >= CAUSES_MAX ? {} : { cause: serializeError(error.cause, depth + 1) }),
  };
}

/** The parameters of a statement, as the database's library appends them to its message. */
const PARAMETERS = /\nparams: [\s\S]*?(?=\n {4}at |$)/g;
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [PARAMETERS, ""],
  // Keys of the product, tokens signed by it, secrets of webhooks and of Stripe.
  [/tg_(?:live|test)_[0-9A-Za-z]+/g, "[key]"],
  [/eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, "[token]"],
  [/\b(?:whsec|sk_test|sk_live|rk_test|rk_live)_[0-9A-Za-z+/=]+/g, "[secret]"],
  // Credentials in a URL.
  [/(?<scheme>[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, "$<scheme>[credentials]@"],
  [/[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/gi, "[address]"],
];

/** A text without what must not stand in a log, by what it looks like. */
export function withoutSecrets(text: string): string {
  return SECRETS.reduce((cleaned, [pattern, replacement]) => cleaned.replace(pattern, replacement), text);
}

export const silentLogger: Logger = pino({ level: "silent" });
export type { Logger } from "pino";
