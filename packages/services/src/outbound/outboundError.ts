export const OUTBOUND_FAILURES = {
  url_refused: "The URL is not one that may be called",
  address_refused: "The address is private or reserved",
  dns_failed: "The name could not be resolved",
  timed_out: "No answer in time",
  connection_failed: "The connection failed",
} as const;
export type OutboundFailure = keyof typeof OUTBOUND_FAILURES;

/** A request that got no answer. Its message is for whoever named the URL and says nothing about our network. */
export class OutboundError extends Error {
  override readonly name = "OutboundError";
  readonly reason: OutboundFailure;

  constructor(reason: OutboundFailure, detail?: string, options: { readonly cause?: unknown } = {}) {
    super(detail === undefined ? OUTBOUND_FAILURES[reason] : `${OUTBOUND_FAILURES[reason]}: ${detail}`, options);
    this.reason = reason;
  }
}
