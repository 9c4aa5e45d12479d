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
      serializers: { err: serializeError },
    },
    destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

/** An error's `code` is what a log must say of it, and a field of that name is a mailed code anywhere else: so it moves. */
function serializeError(error: Error & { readonly code?: unknown }): object {
  const serialized = pino.stdSerializers.err(error);
  return error.code === undefined ? serialized : { ...serialized, errorCode: error.code };
}

export const silentLogger: Logger = pino({ level: "silent" });
export type { Logger } from "pino";
