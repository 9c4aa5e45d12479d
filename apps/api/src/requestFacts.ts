import type { IncomingMessage } from "node:http";
import { newId } from "@tollgate/kernel";
import { isTraceparent } from "@tollgate/telemetry";

/** What a request says of itself, as far as it may be believed. */

const REQUEST_ID = /^[0-9A-Za-z._:-]{1,64}$/;
const USER_AGENT_CHARACTERS_MAX = 400;

/** The caller's own request id, if it is short and safe to log, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : newId("request");
}

export function traceparentOf(request: IncomingMessage): string | undefined {
  const given = request.headers["traceparent"];
  return isTraceparent(given) ? given : undefined;
}

export function userAgentOf(request: IncomingMessage): string | undefined {
  return request.headers["user-agent"]?.slice(0, USER_AGENT_CHARACTERS_MAX);
}

/**
 * The caller's address: that of the connection, or with `trustedProxyHops` proxies of ours in front the one that the
 * outermost of them saw. Entries further left were written by the caller and say nothing.
 */
export function clientIpOf(request: IncomingMessage, trustedProxyHops: number): string | undefined {
  const peer = request.socket.remoteAddress;
  const forwarded = request.headers["x-forwarded-for"];
  if (trustedProxyHops === 0 || forwarded === undefined) return plainIp(peer);
  const seen = String(forwarded)
    .split(",")
    .map((address) => address.trim());
  return plainIp(seen[Math.max(0, seen.length - trustedProxyHops)]);
}

/** `::ffff:10.0.0.1` is 10.0.0.1 on a socket that takes both families. */
const plainIp = (address: string | undefined): string | undefined => address?.replace(/^::ffff:(?=\d+\.)/, "");

/**
 * Whether a page in a browser sent it. Browsers add these headers by themselves and let no page take them away
 * (https://fetch.spec.whatwg.org/#forbidden-request-header).
 */
export function isFromBrowser(request: IncomingMessage): boolean {
  return request.headers.origin !== undefined || request.headers["sec-fetch-site"] !== undefined;
}
