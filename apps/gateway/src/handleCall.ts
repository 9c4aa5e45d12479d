import type { IncomingMessage, ServerResponse } from "node:http";
import { newCallId } from "@tollgate/kernel";
import type { Refusal } from "./admission/refusal.ts";
import { methodRefusal, REFUSALS, scopeRefusal } from "./admission/refusal.ts";
import type { Reservation, Shortage } from "./admission/reserve.ts";
import { reserve } from "./admission/reserve.ts";
import { waitForBudgets } from "./admission/waitForBudgets.ts";
import { answerRefusal } from "./answer.ts";
import type { Arrival, Route } from "./forward/forwardedCall.ts";
import { ForwardedCall } from "./forward/forwardedCall.ts";
import { readKey, readTarget, upstreamPath } from "./forward/target.ts";
import type { Gateway } from "./gateway.ts";
import type { Caller } from "./identity/caller.ts";
import { callerAddress } from "./identity/callerAddress.ts";
import type { RateTicket } from "./limits/callLimits.ts";

/**
 * The decision about a call, in the contract's order, first refusal wins. A warm call passes through without waiting for
 * anything; one that needs its key or a slice of a budget waits for that and is decided then.
 */
const KEY_WAIT_MAX_MS = 3_000;

export function handleCall(gateway: Gateway, request: IncomingMessage, response: ServerResponse): void {
  const arrival = { gateway, request, response };
  const text = readKey(request.headers.authorization);
  const known = text === undefined ? null : gateway.keys.find(text, gateway.clock.nowMs(), request.socket);
  if (known === undefined && text !== undefined) {
    void loadThenDecide(arrival, text);
    return;
  }
  decide(arrival, known ?? (text === undefined ? REFUSALS.noKey : REFUSALS.unknownKey));
}

async function loadThenDecide(arrival: Arrival, text: string): Promise<void> {
  const { gateway } = arrival;
  let caller: Caller | Refusal;
  try {
    caller = (await inTime(gateway.keys.load(text))) ?? REFUSALS.unknownKey;
  } catch (error) {
    gateway.logger.warn({ err: error }, "a key cannot be loaded");
    caller = REFUSALS.keys;
  }
  decide(arrival, caller);
}

/** A database that hangs must not hang the callers. The load itself goes on, for whoever comes next. */
async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${KEY_WAIT_MAX_MS} ms`)), KEY_WAIT_MAX_MS);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function decide(arrival: Arrival, caller: Caller | Refusal): void {
  const { gateway } = arrival;
  const route = "code" in caller ? caller : findRoute(arrival, caller);
  if ("code" in route) {
    refuse(arrival, route);
    return;
  }
  const { limits } = route.caller;
  const ticket = limits.admit(gateway.rates.tick());
  if (ticket === undefined) void waitThenPay(arrival, route);
  else if ("code" in ticket) refuse(arrival, ticket);
  else pay(arrival, route, ticket);
}

/** Step 4, where the rate limits have to be asked. */
async function waitThenPay(arrival: Arrival, route: Route): Promise<void> {
  const ticket = await arrival.gateway.rates.wait(route.caller.limits);
  if ("code" in ticket) refuse(arrival, ticket);
  else pay(arrival, route, ticket);
}

/** Steps 5 and 6: the price and the money, for a call that its rate limits have counted. */
function pay(arrival: Arrival, route: Route, ticket: RateTicket): void {
  const { gateway } = arrival;
  const decision = reserve(gateway.budgets, route.caller, route.endpoint, gateway.settings, gateway.clock.nowMs());
  if ("slice" in decision) void askThenForward(arrival, route, ticket, decision);
  else forwardOrRefuse(arrival, route, ticket, decision);
}

/** Waits until what the call may cost is known to be there, or not to be. */
async function askThenForward(arrival: Arrival, route: Route, ticket: RateTicket, shortage: Shortage): Promise<void> {
  const decision = await waitForBudgets(arrival.gateway, route.caller, route.endpoint, shortage);
  forwardOrRefuse(arrival, route, ticket, decision);
}

function forwardOrRefuse(arrival: Arrival, route: Route, ticket: RateTicket, decision: Reservation | Refusal): void {
  if ("slices" in decision) {
    new ForwardedCall(arrival, route, decision, ticket).start();
    return;
  }
  // The rate limits had counted it: a denied call does not use them up.
  ticket.giveBack();
  refuse(arrival, decision);
}

/** Steps 1 to 3: the key, the route, the scope. */
function findRoute({ gateway, request }: Arrival, caller: Caller): Route | Refusal {
  const nowMs = gateway.clock.nowMs();
  // A gateway that cannot record is stopping, too: what it says first is why, and an alarm counts it.
  if (gateway.spool.failure !== undefined) return REFUSALS.spool;
  if (gateway.isDraining()) return REFUSALS.draining;
  if (!gateway.settings.isKnown) return REFUSALS.starting;
  if (gateway.settings.maintenance) return REFUSALS.maintenance;
  const standing = caller.refuse(nowMs);
  if (standing !== undefined) return standing;
  if (caller.isForNetworks) {
    const elsewhere = caller.refuseAddress(callerAddress(request, gateway.trustedProxyHops));
    if (elsewhere !== undefined) return elsewhere;
  }
  const route = findEndpoint(gateway, request, caller);
  if ("code" in route) return route;
  if (!caller.hasScope(route.api.name)) return scopeRefusal(route.api.name);
  if (request.headers.upgrade !== undefined && route.endpoint.isMeasured) return REFUSALS.noSockets;
  if (Number(request.headers["content-length"] ?? 0) > route.endpoint.bodyBytesMax) return REFUSALS.tooLarge;
  return route;
}

/** The published endpoint that a request names, and the path it has at the upstream. */
function findEndpoint(gateway: Gateway, request: IncomingMessage, caller: Caller): Route | Refusal {
  const { method, url = "" } = request;
  const target = readTarget(url);
  if (target === undefined) return url.startsWith("/") ? REFUSALS.noRoute : REFUSALS.badTarget;
  if (!gateway.catalogue.isLoaded) return REFUSALS.starting;
  const api = gateway.catalogue.find(target.api);
  if (api === undefined) return REFUSALS.noApi;
  const endpoint = api.endpoints.get(target.endpoint);
  if (api.isRemoved || endpoint?.isRetired === true) return REFUSALS.retired;
  if (endpoint === undefined) return REFUSALS.noEndpoint;
  if (method !== endpoint.method && !(method === "HEAD" && endpoint.method === "GET")) {
    return methodRefusal(endpoint.method === "GET" ? "GET, HEAD" : endpoint.method);
  }
  const path = upstreamPath(endpoint.path, endpoint.hasPathParameters, target.rest);
  if (path === undefined) return endpoint.hasPathParameters ? REFUSALS.badPath : REFUSALS.noEndpoint;
  return { caller, api, endpoint, path: path + target.query };
}

function refuse({ gateway, request, response }: Arrival, refusal: Refusal): void {
  gateway.metrics.countRefusal(refusal.reason);
  const url = request.url ?? "/";
  const question = url.indexOf("?");
  const callId = newCallId(gateway.clock.nowMs());
  answerRefusal(response, refusal, callId, question === -1 ? url : url.slice(0, question));
}
