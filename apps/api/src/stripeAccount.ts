import type { StripeAccount } from "@tollgate/services/payments";
import { createStripeAccount } from "@tollgate/services/payments";
import type { ApiEnv } from "./env.ts";

/** The account that the environment has a key for; undefined without one. */
export function stripeAccountOf(env: ApiEnv): StripeAccount | undefined {
  if (env.STRIPE_SECRET_KEY === undefined) return undefined;
  const secrets = `${env.STRIPE_WEBHOOK_SECRET},${env.STRIPE_WEBHOOK_SECRET_TEST}`;
  return createStripeAccount({
    secretKey: env.STRIPE_SECRET_KEY,
    publishableKey: env.STRIPE_PUBLISHABLE_KEY,
    webhookSecrets: secrets
      .split(",")
      .map((secret) => secret.trim())
      .filter((secret) => secret !== ""),
    currency: env.STRIPE_CURRENCY,
    apiBase: env.STRIPE_API_BASE,
  });
}
