import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * Cross-origin calls (https://fetch.spec.whatwg.org/#http-cors-protocol): the listed origins, and in development pages
 * served from this machine. Tokens travel in a header and never in a cookie, so credentials are not allowed.
 */
export interface CorsPolicy {
  readonly origins: readonly string[];
  readonly allowsLocalhost: boolean;
}

const LOCAL_ORIGIN = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

/** Adds the headers that the caller's origin is entitled to. @returns true if that was all: a preflight, answered here */
export function applyCors(policy: CorsPolicy, request: IncomingMessage, response: ServerResponse): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return false;
  response.setHeader("vary", "origin");
  const isPreflight = request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
  if (policy.origins.includes(origin) || (policy.allowsLocalhost && LOCAL_ORIGIN.test(origin))) {
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", "x-request-id, retry-after");
    if (isPreflight) {
      response.setHeader("access-control-allow-methods", "GET, POST");
      response.setHeader(
        "access-control-allow-headers",
        "authorization, content-type, x-request-id, traceparent, trpc-accept, last-event-id",
      );
      response.setHeader("access-control-max-age", "600");
    }
  }
  if (isPreflight) response.writeHead(204).end();
  return isPreflight;
}
