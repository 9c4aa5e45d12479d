export type { Span } from "@opentelemetry/api";
export { SpanKind } from "@opentelemetry/api";
export { isTraceparent, nextTraceparent } from "./traceparent.ts";
export type { CausedSpanOptions, SpanOptions, Tracing, TracingOptions } from "./tracing.ts";
export {
  currentTraceparent,
  failSpan,
  isTracing,
  keepTrace,
  runInSpan,
  startSpan,
  startStep,
  startTracing,
  traceparentOfSpan,
  withSpan,
  withSpans,
  withStep,
} from "./tracing.ts";
