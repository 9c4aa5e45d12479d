import path from "node:path";
import type { StripeStandIn } from "@tollgate/testing/stripe";
import { startStripeStandIn } from "@tollgate/testing/stripe";

/** Stripe as the product is told of it, and the stand-in if it is told of that. */
export interface StripePlan {
  readonly env: Readonly<Record<string, string>>;
  /** Where the stand-in and its pages are. */
  readonly url: string | undefined;
  /** Makes the stand-in send its events to the API. */
  connect(apiUrl: string): void;
  stop(): Promise<void>;
}

const PASSED_ON = [
  "STRIPE_SECRET_KEY",
  "STRIPE_PUBLISHABLE_KEY",
  "STRIPE_WEBHOOK_SECRET",
  "STRIPE_API_BASE",
  "STRIPE_CURRENCY",
];

/**
 * The launcher's own account if its environment has a key; else a stand-in, which keeps what it knows in the system's
 * directory, as the database does.
 */
export async function planStripe(dir: string, port: number): Promise<StripePlan> {
  const given = Object.fromEntries(
    PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] as string]])),
  );
  if (given["STRIPE_SECRET_KEY"] !== undefined) {
    return { env: given, url: undefined, connect: () => undefined, stop: async () => undefined };
  }
  const standIn = await startStripeStandIn({ port, file: path.join(dir, "stripe.json") });
  const webhookSecret = `whsec_${standIn.secretKey.slice(-32)}`;
  return {
    env: environmentOf(standIn, webhookSecret),
    url: standIn.url,
    connect: (apiUrl) => void standIn.addWebhook(`${apiUrl}/webhooks/stripe`, { secret: webhookSecret }),
    stop: () => standIn.stop(),
  };
}

const environmentOf = (standIn: StripeStandIn, webhookSecret: string): Record<string, string> => ({
  STRIPE_SECRET_KEY: standIn.secretKey,
  STRIPE_PUBLISHABLE_KEY: standIn.publishableKey,
  STRIPE_WEBHOOK_SECRET: webhookSecret,
  STRIPE_API_BASE: standIn.url,
});
