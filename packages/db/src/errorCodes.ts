/**
 * What an error of the database driver means. Statement errors arrive wrapped (Drizzle keeps the driver's error as the
 * cause), errors of COMMIT arrive bare; both carry a SQLSTATE or a Node error code.
 */
const CONFLICT_CODES = new Set(["40001", "40P01", "CR000"]);

const CONNECTION_CODES = new Set([
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "CONNECTION_ENDED",
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "53300", // too_many_connections
]);

/** The SQLSTATE or Node code of an error, looked for along its causes. */
export function databaseErrorCode(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    const code = (current as { code?: unknown }).code;
    if (typeof code === "string" && /^[A-Z0-9_]+$/.test(code)) return code;
  }
  return undefined;
}

/** The transaction lost against another one and was rolled back: running it again is right. */
export function isSerializationConflict(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code !== undefined && CONFLICT_CODES.has(code);
}

/** The connection is gone or could not be made. */
export function isConnectionFailure(error: unknown): boolean {
  const code = databaseErrorCode(error);
  return code !== undefined && (CONNECTION_CODES.has(code) || code.startsWith("08"));
}

/** A unique constraint was hit; `constraint` narrows it to one by name. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    const { code, constraint_name } = current as { code?: unknown; constraint_name?: unknown };
    if (code === "23505") return constraint === undefined || constraint_name === constraint;
  }
  return false;
}
