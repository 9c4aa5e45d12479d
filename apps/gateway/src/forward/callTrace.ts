import type { IncomingMessage } from "node:http";
import type { Span } from "@tollgate/telemetry";
import { isTraceparent, SpanKind, startSpan, traceparentOfSpan } from "@tollgate/telemetry";
import type { Route } from "./forwardedCall.ts";

/** The span of one call, in the caller's trace or in one of its own. The upstream goes on under it. */
export class CallTrace {
  readonly #span: Span | undefined;
  /** Undefined where tracing ended in between. */
  readonly traceparent: string | undefined;

  constructor(request: IncomingMessage, callId: string, { api, endpoint }: Route) {
    const { traceparent } = request.headers;
    this.#span = startSpan(`${request.method} /v1/${api.name}/${endpoint.name}`, {
      kind: SpanKind.SERVER,
      attributes: { "http.request.method": request.method ?? "", "tollgate.call.id": callId },
      traceparent: isTraceparent(traceparent) ? traceparent : undefined,
    });
    this.traceparent = this.#span === undefined ? undefined : traceparentOfSpan(this.#span);
  }

  /** `outcome`: what it was recorded as, or why it was refused. */
  end(outcome: string, status: number, tries: number): void {
    const span = this.#span;
    if (span?.isRecording() === true) {
      span.setAttributes({ "tollgate.call.outcome": outcome, "http.response.status_code": status });
      if (tries > 1) span.setAttribute("http.request.resend_count", tries - 1);
      if (status >= 500) span.setAttribute("error.type", String(status));
    }
    span?.end();
  }
}
