import type { ServiceContext } from "../context.ts";
import type { ThrottlePolicy } from "../customers/throttle.ts";
import { countFailure, throttleId } from "../customers/throttle.ts";

/** Far more than a page does, also for many people behind one address. */
const PER_ADDRESS: ThrottlePolicy = {
  attemptsFree: 200,
  delayMsMin: 1_000,
  delayMsMax: 60_000,
  forgetAfterMs: 30_000,
};

/**
 * Counts what strangers write, by network address, inside a transaction, so that nobody fills the tables.
 * @returns milliseconds to wait; 0 if this one may be written
 */
export async function countStranger(ctx: ServiceContext): Promise<number> {
  const decision = await countFailure(ctx, throttleId("stranger_address", ctx.ip ?? "unknown"), PER_ADDRESS);
  return decision.kind === "blocked" ? decision.retryAfterMs : 0;
}
