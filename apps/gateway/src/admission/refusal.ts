import type { Failure } from "@tollgate/kernel";
import type { CallLimits } from "../limits/callLimits.ts";
import type { RateLimit } from "../limits/rateLimit.ts";

/** Why a call does not pass: an answer, not an exception, because refusals come in floods. */
export interface Refusal extends Failure {
  readonly headers?: readonly string[];
}

const refusal = (code: Refusal["code"], reason: string, message: string, headers?: readonly string[]): Refusal => ({
  code,
  reason,
  message,
  ...(headers === undefined ? {} : { headers }),
});

const CHALLENGE = ["WWW-Authenticate", 'Bearer realm="tollgate"'];

export const REFUSALS = {
  noKey: refusal("UNAUTHORIZED", "missing_key", "Send your API key as Authorization: Bearer <key>", CHALLENGE),
  unknownKey: refusal("UNAUTHORIZED", "invalid_key", "This API key is not valid", CHALLENGE),
  expiredKey: refusal("UNAUTHORIZED", "expired_key", "This API key has expired", CHALLENGE),
  address: refusal("FORBIDDEN", "address_not_allowed", "This API key may not be used from this address"),
  noApi: refusal("NOT_FOUND", "api_not_found", "No API of this name is published here"),
  noEndpoint: refusal("NOT_FOUND", "endpoint_not_found", "This API has no such endpoint"),
  noRoute: refusal("NOT_FOUND", "route_not_found", "Calls go to /v1/<api>/<endpoint>"),
  badPath: refusal("BAD_REQUEST", "bad_path", "The path has a part that cannot be forwarded"),
  badTarget: refusal("BAD_REQUEST", "bad_target", "The request target must be a path"),
  badUpgrade: refusal(
    "BAD_REQUEST",
    "bad_upgrade",
    "This is not the handshake of a WebSocket of version 13: a GET with Sec-WebSocket-Key and without a body",
    ["Sec-WebSocket-Version", "13"],
  ),
  noSockets: refusal(
    "BAD_REQUEST",
    "websocket_not_possible",
    "This endpoint is priced by what is known only at the end, and a WebSocket may have none: use plain requests",
  ),
  retired: refusal("GONE", "endpoint_retired", "This endpoint has been retired"),
  tooLarge: refusal("PAYLOAD_TOO_LARGE", "body_too_large", "The body is larger than this endpoint takes"),
  bodyStalled: refusal("BAD_REQUEST", "body_stalled", "The rest of the body did not come. The call was not charged", [
    "Connection",
    "close",
  ]),
  credit: refusal("PAYMENT_REQUIRED", "insufficient_credit", "The balance does not cover this call: add credit"),
  usageCap: refusal(
    "PAYMENT_REQUIRED",
    "usage_cap_reached",
    "This month's free calls are used up and the balance is empty: add credit or change the tier",
  ),
  projectCap: refusal(
    "PAYMENT_REQUIRED",
    "project_cap_reached",
    "The project has reached its spend cap for this month",
  ),
  keyCap: refusal("PAYMENT_REQUIRED", "key_cap_reached", "The API key has reached its spend cap for this month"),
  testCalls: refusal("TOO_MANY_REQUESTS", "test_limit_reached", "Test keys may make 1,000 calls a day"),
  rate: refusal("TOO_MANY_REQUESTS", "rate_limited", "Too many calls", ["Retry-After", "1"]),
  budgets: refusal(
    "UNAVAILABLE",
    "budgets_unavailable",
    "Credit cannot be checked at the moment, so the call was not made. It was not charged",
    ["Retry-After", "1"],
  ),
  keys: refusal("UNAVAILABLE", "keys_unavailable", "Keys cannot be checked at the moment", ["Retry-After", "1"]),
  starting: refusal("UNAVAILABLE", "starting", "The gateway is starting", ["Retry-After", "1"]),
  maintenance: refusal(
    "UNAVAILABLE",
    "maintenance",
    "Tollgate is in maintenance: no call was made or charged. Try again later",
    ["Retry-After", "60"],
  ),
  draining: refusal("UNAVAILABLE", "draining", "The gateway is stopping", ["Retry-After", "1", "Connection", "close"]),
  spool: refusal("UNAVAILABLE", "cannot_record", "Calls cannot be recorded at the moment", ["Retry-After", "5"]),
  credentials: refusal(
    "UNAVAILABLE",
    "credentials_unavailable",
    "The credentials of this API cannot be read at the moment. The call was not charged",
    ["Retry-After", "5"],
  ),
  noUpstream: refusal("UNAVAILABLE", "no_upstream", "No instance of this API is running", ["Retry-After", "1"]),
  unreachable: refusal("BAD_GATEWAY", "upstream_unreachable", "The API did not answer. The call was not charged"),
  timeout: refusal("GATEWAY_TIMEOUT", "upstream_timeout", "The API took too long. The call was not charged"),
} as const;

/** A blocked key says what the operator wrote. */
export const blockedRefusal = (message: string): Refusal => refusal("FORBIDDEN", "key_blocked", message);

export const scopeRefusal = (api: string): Refusal =>
  refusal("FORBIDDEN", "scope_missing", `This API key may not call ${api}`);

export const methodRefusal = (allowed: string): Refusal =>
  refusal("METHOD_NOT_ALLOWED", "method_not_allowed", `This endpoint takes ${allowed}`, ["Allow", allowed]);

/** Which limit is used up, when to come again, and how all of the call's limits stand. */
export function rateRefusal(limit: RateLimit, limits: CallLimits, tick: number): Refusal {
  const { name, quota, windowSeconds } = limit;
  const span = windowSeconds === 1 ? "a second" : `in ${windowSeconds} seconds`;
  return refusal("TOO_MANY_REQUESTS", "rate_limited", `The limit of the ${name} is ${quota} calls ${span}`, [
    "Retry-After",
    String(limit.retrySeconds(tick)),
    "RateLimit-Policy",
    limits.policy,
    "RateLimit",
    limits.remainingText(tick),
  ]);
}
