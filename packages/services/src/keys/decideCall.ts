import type { KeyVerdict } from "@tollgate/contracts";
import type { ErrorCode, Micros } from "@tollgate/kernel";
import { ERROR_CODES, multiplyMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import ipaddr from "ipaddr.js";
import type { EndpointFacts } from "../catalog/planEndpoints.ts";
import { priceAt } from "../catalog/planEndpoints.ts";
import type { KeyRecord } from "./loadKeyRecord.ts";

/**
 * The gateway's decision about a call, from facts alone: the same questions in the same order with the same codes, first
 * refusal wins. Between the two parts the rates are counted. One thing differs, because a gateway has it and this has not:
 * what gateways hold for calls in flight counts as spent, so at the very end of a budget the answer here may be no where a
 * gateway that asks the others for what they do not need would still say yes.
 */
export interface CallFacts {
  readonly record: KeyRecord | undefined;
  /** Where the call comes from; undefined when the caller did not say. */
  readonly address: string | undefined;
  /** The API that was named; null when there is none of that name, undefined when none was named. */
  readonly api: { readonly name: string; readonly status: "published" | "deprecated" | "removed" } | null | undefined;
  readonly endpoint: EndpointFacts | null | undefined;
  /** What the call is to cost, where that is not the endpoint's price. */
  readonly cost: Micros | undefined;
  readonly available: AvailableBudgets;
  /** What a free call costs when the month's free calls are used up. */
  readonly freeCallOverCap: Micros;
}

/** What each budget has left; undefined for one that does not bound this key. */
export interface AvailableBudgets {
  readonly wallet: bigint;
  readonly projectCap: bigint | undefined;
  readonly keyCap: bigint | undefined;
  readonly tierFree: bigint;
  readonly endpointFree: bigint;
  readonly testCalls: bigint;
}

export type Verdict = Omit<KeyVerdict, "key" | "rateLimits" | "retryAfterSeconds">;

/** Steps 1 to 3: the key, the route, the scope. @returns the refusal, or undefined when the rates are to be asked */
export function refuseCall(facts: CallFacts, now: Date): Verdict | undefined {
  const { record } = facts;
  if (record === undefined) return INVALID_KEY;
  return standing(record, facts.address, now) ?? route(record, facts);
}

const refuse = (code: ErrorCode, reason: string, message: string): Verdict => ({
  isAllowed: false,
  code: reason,
  message,
  status: ERROR_CODES[code].status,
  outcome: null,
  priceMicros: ZERO_MICROS,
});

const INVALID_KEY = refuse("UNAUTHORIZED", "invalid_key", "This API key is not valid");

/** Step 1: whether the key may be used at all. */
function standing(record: KeyRecord, address: string | undefined, now: Date): Verdict | undefined {
  if (record.status === "revoked" || record.project.isDeleted) return INVALID_KEY;
  if (record.expiresAtMs !== null && now.getTime() >= record.expiresAtMs) {
    return refuse("UNAUTHORIZED", "expired_key", "This API key has expired");
  }
  if (record.status === "blocked") {
    return refuse("FORBIDDEN", "key_blocked", record.blockedMessage ?? "This API key is blocked");
  }
  if (record.allowedCidrs !== null && (address === undefined || !isListed(record.allowedCidrs, address))) {
    return refuse("FORBIDDEN", "address_not_allowed", "This API key may not be used from this address");
  }
  return undefined;
}

function isListed(cidrs: readonly string[], text: string): boolean {
  const address = ipaddr.process(text);
  return cidrs.some((cidr) => {
    const [network, bits] = ipaddr.parseCIDR(cidr);
    return network.kind() === address.kind() && address.match(network, bits);
  });
}

/** Steps 2 and 3: the API, the endpoint and the scope. */
function route(record: KeyRecord, { api, endpoint }: CallFacts): Verdict | undefined {
  if (api === undefined) return undefined;
  if (api === null) return refuse("NOT_FOUND", "api_not_found", "No API of this name is published here");
  if (api.status === "removed" || (endpoint != null && endpoint.retiredAt !== null)) {
    return refuse("GONE", "endpoint_retired", "This endpoint has been retired");
  }
  if (endpoint === null) return refuse("NOT_FOUND", "endpoint_not_found", "This API has no such endpoint");
  if (!record.scopes.some((scope) => scope === "*" || scope === api.name)) {
    return refuse("FORBIDDEN", "scope_missing", `This API key may not call ${api.name}`);
  }
  return undefined;
}

/** Step 4, for a call that its rate limits have no room for. */
export const RATE_LIMITED = refuse("TOO_MANY_REQUESTS", "rate_limited", "Too many calls");

/** Steps 5 and 6: the price, and whether it can be paid. */
export function decidePayment(record: KeyRecord, facts: CallFacts, now: Date): Verdict {
  const { available, endpoint, cost } = facts;
  if (endpoint == null && cost === undefined) return allow(null, ZERO_MICROS);
  if (record.mode === "test") {
    if (available.testCalls >= 1n) return allow("test", ZERO_MICROS);
    return refuse("TOO_MANY_REQUESTS", "test_limit_reached", "Test keys may make 1,000 calls a day");
  }
  const price = cost ?? priceOf(endpoint, now);
  if (price === 0n) {
    if (available.tierFree >= 1n) return allow("free", ZERO_MICROS);
    const over = facts.freeCallOverCap;
    return shortage(available, over, USAGE_CAP) ?? allow("charged", over);
  }
  // A cost of the caller's own is charged: a quota counts calls at the endpoint's price.
  if (cost === undefined && available.endpointFree >= 1n) return allow("quota", ZERO_MICROS);
  return shortage(available, price, NO_CREDIT) ?? allow("charged", price);
}

const NO_CREDIT = refuse("PAYMENT_REQUIRED", "insufficient_credit", "The balance does not cover this call: add credit");
const USAGE_CAP = refuse(
  "PAYMENT_REQUIRED",
  "usage_cap_reached",
  "This month's free calls are used up and the balance is empty: add credit or change the tier",
);

function shortage(available: AvailableBudgets, amount: Micros, walletRefusal: Verdict): Verdict | undefined {
  if (available.wallet < amount) return walletRefusal;
  if (available.projectCap !== undefined && available.projectCap < amount) {
    const message = "The project has reached its spend cap for this month";
    return refuse("PAYMENT_REQUIRED", "project_cap_reached", message);
  }
  if (available.keyCap !== undefined && available.keyCap < amount) {
    return refuse("PAYMENT_REQUIRED", "key_cap_reached", "The API key has reached its spend cap for this month");
  }
  return undefined;
}

/** A call by the unit is decided at the most that it may take. */
function priceOf(endpoint: EndpointFacts | null | undefined, now: Date): Micros {
  if (endpoint == null) return ZERO_MICROS;
  const price = priceAt(endpoint.prices, now);
  if (price === undefined) throw new Error(`The endpoint ${endpoint.id} has no price`);
  return multiplyMicros(toMicros(price), BigInt(endpoint.unitsMax));
}

const allow = (outcome: Verdict["outcome"], priceMicros: Micros): Verdict => ({
  isAllowed: true,
  code: "allowed",
  message: "The call may be made",
  status: 200,
  outcome,
  priceMicros,
});
