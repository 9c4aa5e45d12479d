import { schema, withTransaction } from "@tollgate/db";
import { and, eq, isNull, sql } from "drizzle-orm";
import { z } from "zod";
import { askStripe } from "../askStripe.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { ownerOf } from "./paymentFacts.ts";
import { syncCards } from "./syncCards.ts";
import { syncPayment } from "./syncPayment.ts";

const { payments } = schema;

const sessionSchema = z.object({
  id: z.string(),
  status: z.enum(["open", "complete", "expired"]),
  customer: z.string().nullable(),
  payment_intent: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
});

/** Asks Stripe what became of a checkout: its payment is followed, its card is known, and one that expired is over. */
export async function syncCheckout(ctx: PaymentsContext, sessionId: string): Promise<void> {
  const { client } = requireStripe(ctx);
  const session = sessionSchema.parse(await askStripe(() => client.checkout.sessions.retrieve(sessionId)));
  if (session.payment_intent !== null) await syncPayment(ctx, session.payment_intent);
  if (session.status === "complete" && session.customer !== null) await syncCards(ctx, session.customer);
  const owner = ownerOf(session.metadata);
  if (session.status !== "expired" || owner === undefined) return;
  // A page that was left without paying: an intent that there is decides for itself.
  await withTransaction(
    ctx,
    (ctx) =>
      ctx.db
        .update(payments)
        .set({ status: "canceled", revision: sql`${payments.revision} + 1`, updatedAt: ctx.clock.now() })
        .where(
          and(eq(payments.id, owner.paymentId), eq(payments.status, "pending"), isNull(payments.stripePaymentIntentId)),
        ),
    { isIdempotent: true },
  );
}
