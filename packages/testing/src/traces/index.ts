export type { CollectedSpan, TraceCollector } from "./startTraceCollector.ts";
export { startTraceCollector } from "./startTraceCollector.ts";
