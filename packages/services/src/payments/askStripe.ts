import { conflict, notFound, TollgateError, unavailable } from "@tollgate/kernel";
import Stripe from "stripe";

/**
 * Asks Stripe, and says what went wrong in the product's own words. What is not the caller's doing is UNAVAILABLE when
 * another try may succeed, and an unknown error otherwise.
 * @throws TollgateError PAYMENT_REQUIRED with the card's refusal; NOT_FOUND; CONFLICT; UNAVAILABLE `payments_unavailable`
 */
export async function askStripe<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof Stripe.errors.StripeError ? inOurWords(error) : error;
  }
}

function inOurWords(error: Stripe.errors.StripeError): Error {
  if (error instanceof Stripe.errors.StripeCardError) {
    return cardRefused(error.decline_code || error.code || "card_declined", error.message, error);
  }
  if (error instanceof Stripe.errors.StripeIdempotencyError) {
    return conflict("This idempotency key was used for another request", {
      reason: "idempotency_key_reused",
      issues: [{ path: "idempotencyKey", message: "Was used for another request" }],
      cause: error,
    });
  }
  if (error.code === "resource_missing") return notFound(kindOf(error), { cause: error });
  const isTheirs = error instanceof Stripe.errors.StripeAPIError && (error.statusCode ?? 500) >= 500;
  if (
    isTheirs ||
    error instanceof Stripe.errors.StripeConnectionError ||
    error instanceof Stripe.errors.StripeRateLimitError ||
    error.statusCode === 409
  ) {
    return unavailable("The payment provider cannot be reached at the moment; nothing is lost", {
      reason: "payments_unavailable",
      cause: error,
    });
  }
  return error;
}

function kindOf(error: Stripe.errors.StripeError): string {
  return /payment_?method/i.test(`${error.param ?? ""} ${error.message}`) ? "card" : "payment";
}

/** The bank said no. The reason is Stripe's decline code, or its error code where the bank gave none. */
export function cardRefused(code: string, message: string, cause?: unknown): TollgateError {
  return new TollgateError("PAYMENT_REQUIRED", message, {
    reason: /^[a-z_]{1,64}$/.test(code) ? code : "card_declined",
    issues: [{ path: "cardId", message }],
    ...(cause === undefined ? {} : { cause }),
  });
}
