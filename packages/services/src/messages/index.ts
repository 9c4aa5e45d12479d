export * from "./consumers.ts";
export * from "./handleEvent.ts";
export type { RetryPolicy } from "./parking.ts";
export { DEFAULT_RETRY_POLICY } from "./parking.ts";
export * from "./retryParkedEvents.ts";
export * from "./sweepMessages.ts";
