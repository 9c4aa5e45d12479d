import { databaseErrorCode } from "@tollgate/db";
import type { ErrorCode, FieldIssue } from "@tollgate/kernel";
import { ERROR_CODES, TollgateError, toProblem } from "@tollgate/kernel";
import type { TRPC_ERROR_CODE_KEY } from "@trpc/server";
import { TRPCError } from "@trpc/server";
import { TRPC_ERROR_CODES_BY_KEY } from "@trpc/server/rpc";
import type { z } from "zod";
import { ZodError } from "zod";

/**
 * The one place where failures of procedures become what callers see, on tRPC and on REST. Verbs throw
 * {@link TollgateError}; tRPC itself throws for bad paths, methods and inputs; anything else is a fault of ours, of which
 * the caller learns nothing but the request's id.
 */
const TRPC_CODE: Readonly<Record<ErrorCode, TRPC_ERROR_CODE_KEY>> = {
  BAD_REQUEST: "BAD_REQUEST",
  UNAUTHORIZED: "UNAUTHORIZED",
  PAYMENT_REQUIRED: "PAYMENT_REQUIRED",
  FORBIDDEN: "FORBIDDEN",
  NOT_FOUND: "NOT_FOUND",
  METHOD_NOT_ALLOWED: "METHOD_NOT_SUPPORTED",
  CONFLICT: "CONFLICT",
  // JSON-RPC has no number for it; the HTTP status and `data.code` say what it is.
  GONE: "NOT_FOUND",
  PAYLOAD_TOO_LARGE: "PAYLOAD_TOO_LARGE",
  UNPROCESSABLE: "UNPROCESSABLE_CONTENT",
  TOO_MANY_REQUESTS: "TOO_MANY_REQUESTS",
  INTERNAL: "INTERNAL_SERVER_ERROR",
  BAD_GATEWAY: "BAD_GATEWAY",
  UNAVAILABLE: "SERVICE_UNAVAILABLE",
  GATEWAY_TIMEOUT: "GATEWAY_TIMEOUT",
};

/** What `error.data` of a failed call holds. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly httpStatus: number;
  /** Which failure it is, in snake_case: `insufficient_credit`. Stable. */
  readonly reason: string;
  /** Null only when the request could not be read far enough to get an id. */
  readonly requestId: string | null;
  readonly path?: string;
  readonly issues?: readonly FieldIssue[];
  readonly retryAfterSeconds?: number;
}

export interface ErrorShape {
  readonly message: string;
  readonly code: number;
  readonly data: ErrorData;
}

/** What went wrong, in the product's words. Unknown errors become INTERNAL with the thrown value as the cause. */
export function toTollgateError(thrown: unknown): TollgateError {
  if (thrown instanceof TollgateError) return thrown;
  if (!(thrown instanceof TRPCError)) return internalError(thrown);
  const { cause } = thrown;
  if (cause instanceof TollgateError) return cause;
  if (UNSTORABLE_VALUE.has(databaseErrorCode(cause) ?? "")) return unstorable(cause);
  if (thrown.code === "BAD_REQUEST" && cause instanceof ZodError) return invalidInput(cause);
  switch (thrown.code) {
    case "PARSE_ERROR":
    case "BAD_REQUEST":
      return new TollgateError("BAD_REQUEST", badRequestMessage(thrown), { cause });
    case "NOT_FOUND":
      return new TollgateError("NOT_FOUND", thrown.message, { reason: "procedure_not_found" });
    case "METHOD_NOT_SUPPORTED":
      return new TollgateError("METHOD_NOT_ALLOWED", thrown.message);
    case "PAYLOAD_TOO_LARGE":
      return new TollgateError("PAYLOAD_TOO_LARGE", "The body is larger than this endpoint takes");
    case "UNSUPPORTED_MEDIA_TYPE":
      return new TollgateError("BAD_REQUEST", thrown.message, { reason: "unsupported_media_type" });
    default:
      return internalError(thrown);
  }
}

/** tRPC's error formatter: the shape of `error` in every answer. */
export function formatError(options: {
  readonly error: TRPCError;
  readonly path: string | undefined;
  readonly ctx: { readonly requestId: string } | undefined;
}): ErrorShape {
  const error = toTollgateError(options.error);
  const requestId = options.ctx?.requestId ?? null;
  return {
    message: error.code === "INTERNAL" ? toProblem(error, requestId ?? "(none)").detail : error.message,
    code: TRPC_ERROR_CODES_BY_KEY[TRPC_CODE[error.code]],
    data: {
      code: error.code,
      httpStatus: httpStatusOf(error),
      reason: error.reason,
      requestId,
      ...(options.path === undefined ? {} : { path: options.path }),
      ...(error.issues.length === 0 ? {} : { issues: error.issues }),
      ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
    },
  };
}

/** The status of an error. A body of the wrong kind is a bad request with a status of its own (RFC 9110, 15.5.16). */
export function httpStatusOf(error: TollgateError): number {
  return error.reason === "unsupported_media_type" ? 415 : ERROR_CODES[error.code].status;
}

function internalError(cause: unknown): TollgateError {
  return new TollgateError("INTERNAL", "Internal error", { reason: "internal", cause });
}

/**
 * SQLSTATEs of values that no column can hold: a number or an instant out of range, a NUL or half of a surrogate pair in
 * a text or in JSON. They are refused with the field's name before; this catches what was forgotten there, because it is
 * still the caller's value.
 */
const UNSTORABLE_VALUE: ReadonlySet<string> = new Set(["22003", "22007", "22008", "22021", "22P02", "22P05"]);

function unstorable(cause: unknown): TollgateError {
  return new TollgateError("BAD_REQUEST", "The input has a value that cannot be stored", {
    reason: "unstorable_value",
    cause,
  });
}

/** Names the first field in the message and every field in the issues. */
function invalidInput(cause: ZodError): TollgateError {
  const issues = toFieldIssues(cause.issues, []);
  const first = issues[0];
  const text =
    first === undefined ? "not valid" : first.path === "" ? first.message : `${first.path}: ${first.message}`;
  return new TollgateError("BAD_REQUEST", `The input is not valid: ${text}`, {
    reason: "invalid_input",
    issues,
    cause,
  });
}

type Issue = z.core.$ZodIssue;

/** Issues by field: what zod says of an object as a whole, though it is about one of its fields, is told of the field. */
function toFieldIssues(issues: readonly Issue[], above: readonly PropertyKey[]): FieldIssue[] {
  return issues.flatMap((issue): FieldIssue[] => {
    const path = [...above, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key].map(String).join("."), message: "Is not known" }));
    }
    if (issue.code === "invalid_union" && issue.message === DEFAULT_UNION_MESSAGE) {
      const nearest = nearestAlternative(issue.errors);
      if (nearest !== undefined) return toFieldIssues(nearest, path);
    }
    return [{ path: path.map(String).join("."), message: issue.message }];
  });
}

/** What zod says of a union that was given no words of its own. */
const DEFAULT_UNION_MESSAGE = "Invalid input";

/**
 * The alternative of a union that the caller most likely meant: among those that got as far as the fields of an object,
 * the one with the least to complain about. Undefined where no alternative has fields.
 */
function nearestAlternative(alternatives: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const isOfField = (issue: Issue): boolean => issue.path.length > 0 || issue.code === "unrecognized_keys";
  const withFields = alternatives.filter((issues) => issues.some(isOfField));
  return withFields.reduce<readonly Issue[] | undefined>(
    (nearest, issues) => (nearest === undefined || issues.length < nearest.length ? issues : nearest),
    undefined,
  );
}

/** The engine's own words about malformed JSON or an envelope that is not superjson help nobody. */
function badRequestMessage(error: TRPCError): string {
  if (error.cause instanceof SyntaxError) return "The input is not valid JSON";
  if (error.cause instanceof URIError) return "The path is not validly URL-encoded";
  if (error.cause !== undefined) return "The input could not be decoded";
  return error.message;
}
