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
        censor: (value, path) => (isErrorCode(path) ? value : "[redacted]"),
      },
    },
    destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

/** `code` is a mailed code nearly everywhere; of an error it is the one thing that a log must say. */
const isErrorCode = (path: readonly string[]): boolean => path[0] === "err" && path.at(-1) === "code";

export const silentLogger: Logger = pino({ level: "silent" });
export type { Logger } from "pino";
