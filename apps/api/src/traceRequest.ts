import type { IncomingMessage, ServerResponse } from "node:http";
import { runInSpan, SpanKind, startSpan } from "@tollgate/telemetry";
import { traceparentOf } from "./requestFacts.ts";

/**
 * Handles a request as part of the caller's trace, or of a new one. The span ends with the answer; a stream's, when it ends.
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/)
 */
export function traceRequest(request: IncomingMessage, response: ServerResponse, handle: () => void): void {
  const method = request.method ?? "GET";
  const [path = "/"] = (request.url ?? "/").split("?", 1);
  const attributes = { "http.request.method": method, "url.path": path };
  const span = startSpan(`${method} ${routeOf(path)}`, {
    kind: SpanKind.SERVER,
    attributes,
    traceparent: traceparentOf(request),
  });
  if (span === undefined) {
    handle();
    return;
  }
  response.once("close", () => {
    span.setAttribute("http.response.status_code", response.statusCode);
    if (response.statusCode >= 500) span.setAttribute("error.type", String(response.statusCode));
    span.end();
  });
  runInSpan(span, [request, response], handle);
}

/** A name that many requests share: a procedure, the first two of a batch's, or the beginning of a page's path. */
function routeOf(path: string): string {
  const [, first = "", second = "", third] = path.split("/");
  if (first === "trpc") return `/trpc/${second.split(",").slice(0, 2).join(",")}`;
  return first === "rest" ? `/rest/${second}/${third ?? ""}` : `/${first}`;
}
