import { schema, withTransaction } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { requireAdminOrService } from "../../permissions.ts";
import type { BillingPort } from "../billingPort.ts";
import type { PaymentsContext, PaymentsVerb } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { findAccountOf } from "../stripeCustomer.ts";
import { followForeignPayment } from "../sync/followForeignPayment.ts";
import { syncCards } from "../sync/syncCards.ts";
import { syncCheckout } from "../sync/syncCheckout.ts";
import { syncDispute } from "../sync/syncDispute.ts";
import { syncPayment } from "../sync/syncPayment.ts";
import { syncRefunds } from "../sync/syncRefunds.ts";

const { paymentCards, stripeEvents } = schema;
type EventRow = typeof stripeEvents.$inferSelect;

/**
 * Does what an event asks for, which is always the same: ask Stripe what its object is now, and make ours like that. So
 * it does not matter in which order events come, how often, or whether some never do.
 */
export async function processStripeEvent({
  ctx,
  input,
  billing,
}: PaymentsVerb<{ readonly eventId: string }> & { readonly billing: BillingPort }): Promise<void> {
  requireAdminOrService(ctx);
  const [event] = await ctx.db.select().from(stripeEvents).where(eq(stripeEvents.id, input.eventId));
  if (event === undefined || event.processedAt !== null) return;
  // The key of one mode cannot ask about objects of the other.
  const isOurs = event.isLive === requireStripe(ctx).isLive && (await handle(ctx, event, billing));
  await withTransaction(
    ctx,
    (ctx) =>
      ctx.db
        .update(stripeEvents)
        .set({ processedAt: ctx.clock.now(), isIgnored: !isOurs })
        .where(eq(stripeEvents.id, event.id)),
    { isIdempotent: true },
  );
}

type Handler = (ctx: PaymentsContext, event: EventRow, billing: BillingPort) => Promise<boolean>;

/** What is done for which events, by how their type begins; the longest beginning that fits counts. */
const HANDLERS: readonly (readonly [string, Handler])[] = [
  ["customer.subscription.", async (ctx, event, billing) => billing.syncSubscription(ctx, event.objectId)],
  ["customer.", (ctx, event) => followCustomer(ctx, event.stripeCustomerId)],
  ["payment_method.", followCard],
  ["setup_intent.succeeded", (ctx, event) => followCustomer(ctx, event.stripeCustomerId)],
  ["checkout.session.", followCheckout],
  ["payment_intent.", followPayment],
  ["charge.dispute.", followDispute],
  ["charge.", followCharge],
  ["refund.", followRefund],
  ["invoice.", async (ctx, event, billing) => billing.syncStripeInvoice(ctx, event.objectId)],
];

async function handle(ctx: PaymentsContext, event: EventRow, billing: BillingPort): Promise<boolean> {
  const found = HANDLERS.find(([beginning]) => event.type.startsWith(beginning));
  return found === undefined ? false : found[1](ctx, event, billing);
}

async function followCustomer(ctx: PaymentsContext, stripeCustomerId: string | null): Promise<boolean> {
  if (stripeCustomerId === null || (await findAccountOf(ctx, stripeCustomerId)) === undefined) return false;
  await syncCards(ctx, stripeCustomerId);
  return true;
}

/** A card that was taken off no longer says whose it was; we know it. */
async function followCard(ctx: PaymentsContext, event: EventRow): Promise<boolean> {
  if (event.stripeCustomerId !== null) return followCustomer(ctx, event.stripeCustomerId);
  const { paymentCustomers } = schema;
  const [row] = await ctx.db
    .select({ id: paymentCustomers.stripeCustomerId })
    .from(paymentCards)
    .innerJoin(paymentCustomers, eq(paymentCustomers.billingAccountId, paymentCards.billingAccountId))
    .where(eq(paymentCards.id, event.objectId));
  return row === undefined ? false : followCustomer(ctx, row.id);
}

async function followCheckout(ctx: PaymentsContext, event: EventRow): Promise<boolean> {
  await syncCheckout(ctx, event.objectId);
  return true;
}

async function followPayment(ctx: PaymentsContext, event: EventRow, billing: BillingPort): Promise<boolean> {
  const payment = await syncPayment(ctx, event.objectId);
  return payment !== undefined || followForeignPayment(ctx, event.objectId, billing);
}

async function followCharge(ctx: PaymentsContext, event: EventRow, billing: BillingPort): Promise<boolean> {
  const { client } = requireStripe(ctx);
  return followRefundsOf(ctx, (await client.charges.retrieve(event.objectId)).payment_intent, billing);
}

async function followRefund(ctx: PaymentsContext, event: EventRow, billing: BillingPort): Promise<boolean> {
  const { client } = requireStripe(ctx);
  return followRefundsOf(ctx, (await client.refunds.retrieve(event.objectId)).payment_intent, billing);
}

async function followRefundsOf(ctx: PaymentsContext, intent: unknown, billing: BillingPort): Promise<boolean> {
  // A charge without an intent was not made by this system.
  if (typeof intent !== "string") return false;
  return (await syncRefunds(ctx, intent)) !== undefined || followForeignPayment(ctx, intent, billing);
}

async function followDispute(ctx: PaymentsContext, event: EventRow, billing: BillingPort): Promise<boolean> {
  if ((await syncDispute(ctx, event.objectId)) !== undefined) return true;
  const { client } = requireStripe(ctx);
  const { payment_intent: intent } = await client.disputes.retrieve(event.objectId);
  return typeof intent === "string" && followForeignPayment(ctx, intent, billing);
}
