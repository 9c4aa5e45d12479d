export * from "./listCalls.ts";
export * from "./readMonthly.ts";
export { readMonthlyTotal } from "./readMonthlyTotal.ts";
export * from "./readUsage.ts";
export * from "./traceCall.ts";
export * from "./watchUsage.ts";
