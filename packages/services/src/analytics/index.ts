export * from "./createSinks.ts";
export * from "./eraseAnalytics.ts";
export * from "./forwardEvents.ts";
export * from "./listAnalyticsEvents.ts";
export { mailchimpBaseOf } from "./mailchimp.ts";
export * from "./readSummary.ts";
export * from "./sendAnalytics.ts";
export type { AnalyticsSink } from "./sink.ts";
