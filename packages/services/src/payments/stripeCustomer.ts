import { schema, withTransaction } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import { askStripe } from "./askStripe.ts";
import type { PaymentsContext } from "./stripeAccount.ts";
import { keyForOnce, requireStripe } from "./stripeAccount.ts";

/** What this system writes on everything of its own at Stripe, and the only thing by which it tells its own apart. */
export const METADATA = {
  billingAccountId: "tollgate_billing_account",
  paymentId: "tollgate_payment",
  kind: "tollgate_kind",
} as const;

const { billingAccounts, customers, paymentCustomers } = schema;

/** The account's customer at Stripe; undefined if it has none yet. */
export async function findStripeCustomer(ctx: PaymentsContext, billingAccountId: string): Promise<string | undefined> {
  const [row] = await ctx.db
    .select({ id: paymentCustomers.stripeCustomerId })
    .from(paymentCustomers)
    .where(and(eq(paymentCustomers.billingAccountId, billingAccountId), isNull(paymentCustomers.deletedAt)));
  return row?.id;
}

/** The account of a customer of Stripe's; undefined for one that is not of this deployment. */
export async function findAccountOf(ctx: PaymentsContext, stripeCustomerId: string): Promise<string | undefined> {
  const [row] = await ctx.db
    .select({ id: paymentCustomers.billingAccountId })
    .from(paymentCustomers)
    .where(eq(paymentCustomers.stripeCustomerId, stripeCustomerId));
  return row?.id;
}

/**
 * The account's customer at Stripe, made when there is none. Stripe is asked under one key per account, so that whoever
 * asks at the same moment gets the same customer.
 */
export async function ensureStripeCustomer(ctx: PaymentsContext, billingAccountId: string): Promise<string> {
  const found = await findStripeCustomer(ctx, billingAccountId);
  if (found !== undefined) return found;
  const { client } = requireStripe(ctx);
  const made = await askStripe(() =>
    client.customers.create(
      { metadata: { [METADATA.billingAccountId]: billingAccountId } },
      { idempotencyKey: `customer:${billingAccountId}` },
    ),
  );
  const id = await withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .insert(paymentCustomers)
        .values({ billingAccountId, stripeCustomerId: made.id, createdAt: ctx.clock.now() })
        .onConflictDoNothing();
      return findStripeCustomer(ctx, billingAccountId);
    },
    { isIdempotent: true },
  );
  if (id === undefined) throw new Error(`The account ${billingAccountId} was erased at Stripe`);
  await describeCustomer(ctx, billingAccountId, id);
  return id;
}

/** Tells Stripe whose customer it is, for receipts and for people who look there. */
async function describeCustomer(ctx: PaymentsContext, billingAccountId: string, id: string): Promise<void> {
  const { client } = requireStripe(ctx);
  const [account] = await ctx.db
    .select({ name: billingAccounts.name })
    .from(billingAccounts)
    .where(eq(billingAccounts.id, billingAccountId));
  const customerId = ctx.actor.kind === "customer" ? ctx.actor.customerId : undefined;
  const [person] =
    customerId === undefined
      ? []
      : await ctx.db.select({ email: customers.email }).from(customers).where(eq(customers.id, customerId));
  await askStripe(() =>
    client.customers.update(
      id,
      {
        ...(account === undefined ? {} : { name: account.name }),
        ...(person === undefined ? {} : { email: person.email }),
      },
      { idempotencyKey: keyForOnce("describe-customer") },
    ),
  );
}
