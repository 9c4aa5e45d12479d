import { schema, withTransaction } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { and, asc, eq, gt, gte, lte, or, sql } from "drizzle-orm";
import { z } from "zod";
import { requireAdminOrService } from "../../permissions.ts";
import { askStripe } from "../askStripe.ts";
import type { BillingPort } from "../billingPort.ts";
import type { PaymentRow } from "../internal.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { ownerOf } from "../sync/paymentFacts.ts";
import { syncRefunds } from "../sync/syncRefunds.ts";
import type { Difference, IntentThere } from "./comparePayment.ts";
import { comparePayment } from "./comparePayment.ts";
import { reconcileMoneyBack } from "./reconcileMoneyBack.ts";

const { paymentDifferences, payments } = schema;
const DAY_MS = 86_400_000;
/** Webhooks are sent again for three days; what is older has been compared before. */
const DAYS = 4;
/** What is on its way right now is no difference. */
const SETTLED_MS = 15 * 60_000;
const PAGE = 200;

const UNREADABLE = "unreadable";
const ownSchema = z.object({ id: z.string(), metadata: z.record(z.string(), z.string()) });
const intentSchema = z.object({
  id: z.string(),
  status: z.string(),
  amount_received: z.int(),
  currency: z.string(),
  metadata: z.record(z.string(), z.string()),
  latest_charge: z.object({ amount_refunded: z.int() }).nullable(),
});

export interface Reconciliation {
  readonly compared: number;
  readonly differences: number;
  readonly healed: number;
}

/**
 * Compares the payments of the last days with Stripe's, both ways, and what has gone back of any payment, and writes each
 * difference down under its name. What
 * is safe to put right is put right by asking Stripe again, which is what a lost webhook would have caused; everything
 * else (money that Stripe does not know of, another amount, another currency) is for a person to look at.
 */
export async function reconcilePayments({
  ctx,
  billing,
}: {
  readonly ctx: PaymentsContext;
  readonly billing: BillingPort;
}): Promise<Reconciliation> {
  requireAdminOrService(ctx);
  if (ctx.stripe === undefined) return { compared: 0, differences: 0, healed: 0 };
  const now = ctx.clock.nowMs();
  const window = { from: new Date(now - DAYS * DAY_MS), to: new Date(now - SETTLED_MS) };
  const seen = new Set<string>();
  const tally = { compared: 0, differences: 0, healed: 0 };
  const note = async (difference: Difference, isHealed: boolean): Promise<void> => {
    tally.differences += 1;
    if (isHealed) tally.healed += 1;
    await keepDifference(ctx, difference, isHealed);
  };
  const settle = async (difference: Difference): Promise<void> => note(difference, await heal(ctx, difference));
  for await (const there of intentsOf(ctx, window)) {
    if (there === undefined) continue;
    seen.add(there.id);
    tally.compared += 1;
    if (there.status === UNREADABLE) {
      await settle({ kind: "unreadable", paymentId: there.paymentId, stripeId: there.id, here: null, there: null });
      continue;
    }
    const here = await findHere(ctx, there);
    for (const difference of comparePayment(here, there)) await settle(difference);
  }
  for await (const here of paymentsOf(ctx, window)) {
    if (here.stripePaymentIntentId !== null && seen.has(here.stripePaymentIntentId)) continue;
    tally.compared += 1;
    // It may have begun before the window at Stripe and after it here.
    const there = here.stripePaymentIntentId === null ? undefined : await findThere(ctx, here.stripePaymentIntentId);
    for (const difference of comparePayment(here, there)) await settle(difference);
  }
  for await (const { difference, isHealed } of reconcileMoneyBack(ctx, billing, window.to)) {
    await note(difference, isHealed);
  }
  if (tally.differences > 0) ctx.logger.error({ ...tally }, "payments differ from the payment provider's");
  return tally;
}

type Window = { readonly from: Date; readonly to: Date };

async function* intentsOf(ctx: PaymentsContext, { from, to }: Window): AsyncGenerator<IntentThere | undefined> {
  const { client } = requireStripe(ctx);
  const created = { gte: Math.floor(from.getTime() / 1_000), lte: Math.floor(to.getTime() / 1_000) };
  const list = client.paymentIntents.list({ created, limit: 100, expand: ["data.latest_charge"] });
  for await (const intent of list) yield toThere(intent);
}

function toThere(intent: unknown): IntentThere | undefined {
  const { id, metadata } = ownSchema.parse(intent);
  const owner = ownerOf(metadata);
  if (owner === undefined) return undefined;
  const { data: facts } = intentSchema.safeParse(intent);
  // One that lacks what must be there is a difference of its own, and not the end of the comparison.
  if (facts === undefined) {
    return { id, paymentId: owner.paymentId, status: UNREADABLE, amountReceived: 0, amountRefunded: 0, currency: "" };
  }
  return {
    id: facts.id,
    paymentId: owner.paymentId,
    status: facts.status,
    amountReceived: facts.amount_received,
    amountRefunded: facts.latest_charge?.amount_refunded ?? 0,
    currency: facts.currency,
  };
}

async function* paymentsOf(ctx: PaymentsContext, { from, to }: Window): AsyncGenerator<PaymentRow> {
  let after: { createdAt: Date; id: string } | undefined;
  for (;;) {
    const rows = await ctx.db
      .select()
      .from(payments)
      .where(
        and(
          gte(payments.createdAt, from),
          lte(payments.createdAt, to),
          eq(payments.status, "succeeded"),
          after === undefined
            ? undefined
            : or(
                gt(payments.createdAt, after.createdAt),
                and(eq(payments.createdAt, after.createdAt), gt(payments.id, after.id)),
              ),
        ),
      )
      .orderBy(asc(payments.createdAt), asc(payments.id))
      .limit(PAGE);
    yield* rows;
    after = rows.at(-1);
    if (rows.length < PAGE) return;
  }
}

async function findHere(ctx: PaymentsContext, there: IntentThere): Promise<PaymentRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(payments)
    .where(or(eq(payments.stripePaymentIntentId, there.id), eq(payments.id, there.paymentId)));
  return row;
}

async function findThere(ctx: PaymentsContext, intentId: string): Promise<IntentThere | undefined> {
  const { client } = requireStripe(ctx);
  try {
    return toThere(await client.paymentIntents.retrieve(intentId, { expand: ["latest_charge"] }));
  } catch (error) {
    if ((error as { code?: unknown }).code === "resource_missing") return undefined;
    return askStripe(() => Promise.reject(error));
  }
}

/** Only what asking again can do: a payment or a refund that nobody told us of. @returns whether both say the same now */
async function heal(ctx: PaymentsContext, difference: Difference): Promise<boolean> {
  const { kind, stripeId } = difference;
  const isSafe =
    kind === "missing_here" || kind === "refunds" || (kind === "status" && difference.there === "succeeded");
  if (!isSafe || stripeId === null) return false;
  try {
    await syncRefunds(ctx, stripeId);
  } catch (error) {
    ctx.logger.warn({ err: error, stripeId }, "a difference could not be put right");
    return false;
  }
  const [here] = await ctx.db.select().from(payments).where(eq(payments.stripePaymentIntentId, stripeId));
  const there = await findThere(ctx, stripeId);
  return here !== undefined && comparePayment(here, there).length === 0;
}

/** One row a difference, however often it is found; it says whether it was put right in the end. */
async function keepDifference(ctx: PaymentsContext, difference: Difference, isHealed: boolean): Promise<void> {
  await withTransaction(
    ctx,
    (ctx) =>
      ctx.db
        .insert(paymentDifferences)
        .values({
          ...difference,
          id: newId("paymentDifference"),
          subject: difference.stripeId ?? difference.paymentId ?? "",
          isHealed,
          createdAt: ctx.clock.now(),
        })
        .onConflictDoUpdate({
          target: [paymentDifferences.kind, paymentDifferences.subject],
          set: { here: difference.here, there: difference.there, isHealed: sql`excluded.is_healed` },
        }),
    { isIdempotent: true },
  );
}
