import { retryAt } from "../outbound/index.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * The waits before each attempt, the example schedule of the Standard Webhooks specification. After the last attempt the
 * delivery has failed, a little more than three days after its event.
 */
export const RETRY_DELAYS_MS = [
  0,
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
] as const;

/** An endpoint that has let nothing through for so long is switched off. */
export const GIVE_UP_ENDPOINT_MS = 5 * 24 * HOUR_MS;

export type DeliveryPlan =
  | { readonly kind: "succeeded" }
  | { readonly kind: "retry"; readonly at: Date }
  | { readonly kind: "failed" };

export interface DeliveryFacts {
  /** Attempts so far, this one included. */
  readonly attempts: number;
  /** The status of the answer; null when there was none. */
  readonly status: number | null;
  /** What the receiver asked to wait (`Retry-After`), if it did. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * What becomes of a delivery after an attempt. Only 2xx is success: a redirect is not followed and is a failure. 410 says
 * that nobody wants this any more, so it is not tried again. A receiver may ask for a longer wait, up to a day.
 */
export function planDelivery({ attempts, status, retryAfterMs }: DeliveryFacts, now: Date): DeliveryPlan {
  if (status !== null && status >= 200 && status < 300) return { kind: "succeeded" };
  const delayMs = RETRY_DELAYS_MS[attempts];
  if (status === 410 || delayMs === undefined) return { kind: "failed" };
  return { kind: "retry", at: retryAt(now, delayMs, retryAfterMs) };
}

export type EndpointPlan =
  | { readonly kind: "unchanged" }
  | { readonly kind: "recovered" }
  | { readonly kind: "failing" }
  | { readonly kind: "disable"; readonly reason: "gone" | "failing" };

/** What becomes of an endpoint after an attempt. */
export function planEndpoint(failingSince: Date | null, status: number | null, now: Date): EndpointPlan {
  if (status !== null && status >= 200 && status < 300) {
    return failingSince === null ? { kind: "unchanged" } : { kind: "recovered" };
  }
  if (status === 410) return { kind: "disable", reason: "gone" };
  if (failingSince === null) return { kind: "failing" };
  const isGivenUp = now.getTime() - failingSince.getTime() >= GIVE_UP_ENDPOINT_MS;
  return isGivenUp ? { kind: "disable", reason: "failing" } : { kind: "unchanged" };
}
