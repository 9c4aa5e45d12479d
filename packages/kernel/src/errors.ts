/**
 * One small set of errors for every transport. A verb throws a {@link TollgateError}; tRPC, REST and the gateway each map
 * its code with an exhaustive table. Nobody reads a message to decide anything: `code` says what kind of failure it is,
 * `reason` says which one (for example `insufficient_credit`), and both are stable.
 */
export const ERROR_CODES = {
  BAD_REQUEST: { status: 400, title: "Bad request", isRetryable: false, isFault: false },
  UNAUTHORIZED: { status: 401, title: "Unauthorized", isRetryable: false, isFault: false },
  PAYMENT_REQUIRED: { status: 402, title: "Payment required", isRetryable: false, isFault: false },
  FORBIDDEN: { status: 403, title: "Forbidden", isRetryable: false, isFault: false },
  NOT_FOUND: { status: 404, title: "Not found", isRetryable: false, isFault: false },
  METHOD_NOT_ALLOWED: { status: 405, title: "Method not allowed", isRetryable: false, isFault: false },
  CONFLICT: { status: 409, title: "Conflict", isRetryable: false, isFault: false },
  GONE: { status: 410, title: "Gone", isRetryable: false, isFault: false },
  PAYLOAD_TOO_LARGE: { status: 413, title: "Payload too large", isRetryable: false, isFault: false },
  UNPROCESSABLE: { status: 422, title: "Unprocessable content", isRetryable: false, isFault: false },
  TOO_MANY_REQUESTS: { status: 429, title: "Too many requests", isRetryable: true, isFault: false },
  INTERNAL: { status: 500, title: "Internal error", isRetryable: false, isFault: true },
  BAD_GATEWAY: { status: 502, title: "Bad gateway", isRetryable: true, isFault: true },
  UNAVAILABLE: { status: 503, title: "Unavailable", isRetryable: true, isFault: true },
  GATEWAY_TIMEOUT: { status: 504, title: "Gateway timeout", isRetryable: true, isFault: true },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What is wrong with one field of an input; `path` is dotted (`endpoints.0.priceMicros`). */
export interface FieldIssue {
  readonly path: string;
  readonly message: string;
}

export interface TollgateErrorOptions {
  /** A stable, machine-readable name of this particular failure, in snake_case. */
  readonly reason?: string;
  readonly issues?: readonly FieldIssue[];
  /** Seconds after which a retry may succeed. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/** A failure that the caller may be told about. Its message is written for the caller. */
export class TollgateError extends Error {
  override readonly name = "TollgateError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly issues: readonly FieldIssue[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: TollgateErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = options.reason ?? code.toLowerCase();
    this.issues = options.issues ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get isRetryable(): boolean {
    return ERROR_CODES[this.code].isRetryable;
  }

  /** Whether this is our fault, and so belongs in the log as an error. */
  get isFault(): boolean {
    return ERROR_CODES[this.code].isFault;
  }
}

/** A record that is not there, or that the caller may not see: a stranger's id is a 404, never a 403. */
export function notFound(kind: string, options?: TollgateErrorOptions): TollgateError {
  return new TollgateError("NOT_FOUND", `No such ${kind}`, {
    reason: `${kind.replaceAll(" ", "_")}_not_found`,
    ...options,
  });
}

export function badRequest(message: string, options?: TollgateErrorOptions): TollgateError {
  return new TollgateError("BAD_REQUEST", message, options);
}

export function conflict(message: string, options?: TollgateErrorOptions): TollgateError {
  return new TollgateError("CONFLICT", message, options);
}

export function unauthorized(message = "Sign in first", options?: TollgateErrorOptions): TollgateError {
  return new TollgateError("UNAUTHORIZED", message, options);
}

export function forbidden(message: string, options?: TollgateErrorOptions): TollgateError {
  return new TollgateError("FORBIDDEN", message, options);
}

/** The answer to an operator who looks through a customer's eyes and would change something. */
export function readOnly(): TollgateError {
  return forbidden("This token was made to look at things: it changes nothing", {
    reason: "impersonation_is_read_only",
  });
}

export function unavailable(message: string, options?: TollgateErrorOptions): TollgateError {
  return new TollgateError("UNAVAILABLE", message, { retryAfterSeconds: 1, ...options });
}

/** RFC 9457 problem details, with the product's `code` (the reason) and `requestId`. */
export interface ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance?: string;
  readonly code: string;
  readonly requestId: string;
  readonly issues?: readonly FieldIssue[];
}

/** What a problem document says of a failure; a {@link TollgateError} has it, and so has a refusal that was never thrown. */
export interface Failure {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly message: string;
  readonly issues?: readonly FieldIssue[];
}

/** The problem document of a failure that the caller may be told about. */
export function problemOf(failure: Failure, requestId: string, instance?: string): ProblemDetails {
  const { status, title } = ERROR_CODES[failure.code];
  return {
    type: `https://tollgate.dev/errors/${failure.reason.replaceAll("_", "-")}`,
    title,
    status,
    detail: failure.message,
    ...(instance === undefined ? {} : { instance }),
    code: failure.reason,
    requestId,
    ...(failure.issues !== undefined && failure.issues.length > 0 ? { issues: failure.issues } : {}),
  };
}

/** The problem document of any thrown value. An unknown error says nothing but its request id. */
export function toProblem(error: unknown, requestId: string, instance?: string): ProblemDetails {
  if (error instanceof TollgateError && error.code !== "INTERNAL") return problemOf(error, requestId, instance);
  const message = `Something went wrong on our side. Quote request ${requestId} when you report it.`;
  return problemOf({ code: "INTERNAL", reason: "internal", message }, requestId, instance);
}
