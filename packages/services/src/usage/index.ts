export * from "./ingestEvents.ts";
export * from "./listCalls.ts";
export * from "./listEvents.ts";
export * from "./readMonthly.ts";
export { readMonthlyTotal } from "./readMonthlyTotal.ts";
export * from "./readUsage.ts";
export * from "./saveEvent.ts";
export * from "./traceCall.ts";
export * from "./watchUsage.ts";
