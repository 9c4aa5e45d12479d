import Stripe from "stripe";
import type { StripeStandIn } from "./startStripeStandIn.ts";

/** The real library, which knows of the stand-in only where it is. */
export function libraryFor(standIn: StripeStandIn, secretKey = standIn.secretKey): Stripe {
  const { hostname, port } = new URL(standIn.url);
  return new Stripe(secretKey, { host: hostname, port, protocol: "http", maxNetworkRetries: 2, telemetry: false });
}
