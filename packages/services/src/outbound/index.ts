export { isPublicAddress } from "./addresses.ts";
export { assertOutboundUrl } from "./assertOutboundUrl.ts";
export type { ResolveHost } from "./guardedConnector.ts";
export * from "./outboundClient.ts";
export { OutboundError } from "./outboundError.ts";
export { parseRetryAfter, retryAt } from "./retryAfter.ts";
