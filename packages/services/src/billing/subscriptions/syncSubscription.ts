import { billingSubscriptionChanged, billingSubscriptionLapsed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { localDate } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import type Stripe from "stripe";
import { askStripe } from "../../payments/askStripe.ts";
import { microsOf } from "../../payments/currency.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { findAccountOf, METADATA } from "../../payments/stripeCustomer.ts";
import { FREE_TIER_ID } from "../seedTiers.ts";
import type { SubscriptionRow } from "./internal.ts";
import { findLive, readRow, setAccountTier } from "./internal.ts";
import type { SubscriptionFacts, SubscriptionState } from "./planSubscription.ts";
import {
  givesTier,
  itemOf,
  planSubscription,
  readSubscriptionFacts,
  SUBSCRIPTION_EXPANSIONS,
  TIER_METADATA,
} from "./planSubscription.ts";

const { subscriptions } = schema;
const ASKS_MAX = 4;

/** A subscription as it is here and as Stripe has just said that it is. */
export interface SyncedSubscription {
  readonly row: SubscriptionRow;
  readonly facts: SubscriptionFacts;
}

/**
 * Asks Stripe what a subscription is now, makes ours the same, and the account's tier with it. Whoever asks takes a number
 * first, and an answer is applied only if none with a later number was: whoever learns of a change asks after it, so what
 * is applied last is what is true. @returns undefined if it is none of this deployment's
 */
export async function syncSubscription(
  ctx: PaymentsContext,
  stripeSubscriptionId: string,
): Promise<SyncedSubscription | undefined> {
  const [known] = await ctx.db
    .select({ id: subscriptions.id })
    .from(subscriptions)
    .where(eq(subscriptions.stripeSubscriptionId, stripeSubscriptionId));
  const id = known?.id ?? (await adopt(ctx, stripeSubscriptionId));
  if (id === undefined) return undefined;
  for (let ask = 1; ; ask += 1) {
    const number = await takeNumber(ctx, id);
    const facts = readSubscriptionFacts(await retrieve(ctx, stripeSubscriptionId));
    const applied = await apply(ctx, { id, number }, facts);
    if (applied !== undefined) return { row: applied, facts };
    // Many ask at once, and somebody who asked later was answered sooner: what they were told is newer than this.
    if (ask === ASKS_MAX) return { row: await readRow(ctx, id), facts };
  }
}

/** @throws Error when Stripe has a subscription that does not say that it is ours */
export async function requireSynced(ctx: PaymentsContext, stripeSubscriptionId: string): Promise<SyncedSubscription> {
  const synced = await syncSubscription(ctx, stripeSubscriptionId);
  if (synced === undefined) throw new Error(`The subscription ${stripeSubscriptionId} does not say whose it is`);
  return synced;
}

async function retrieve(ctx: PaymentsContext, stripeSubscriptionId: string): Promise<Stripe.Subscription> {
  const { client } = requireStripe(ctx);
  return askStripe(() => client.subscriptions.retrieve(stripeSubscriptionId, { expand: SUBSCRIPTION_EXPANSIONS }));
}

async function takeNumber(ctx: PaymentsContext, id: string): Promise<number> {
  const [row] = await withTransaction(
    ctx,
    (ctx) =>
      ctx.db
        .update(subscriptions)
        .set({ asked: sql`${subscriptions.asked} + 1` })
        .where(eq(subscriptions.id, id))
        .returning({ asked: subscriptions.asked }),
    { isIdempotent: true },
  );
  if (row === undefined) throw new Error(`The subscription ${id} is gone`);
  return row.asked;
}

/** Whose a subscription is, by what this system wrote on it. */
function ownerOf(
  metadata: Readonly<Record<string, string>>,
): { readonly id: string; readonly billingAccountId: string } | undefined {
  const id = metadata[TIER_METADATA.subscriptionId];
  const billingAccountId = metadata[METADATA.billingAccountId];
  return id === undefined || billingAccountId === undefined ? undefined : { id, billingAccountId };
}

/**
 * The row that a subscription says it is of. One whose answer was lost is found by that, and one that this deployment has
 * no row of, as after a restored backup, gets one. @returns its id
 */
async function adopt(ctx: PaymentsContext, stripeSubscriptionId: string): Promise<string | undefined> {
  const answer = await retrieve(ctx, stripeSubscriptionId);
  const owner = ownerOf(answer.metadata);
  if (owner === undefined) return undefined;
  const facts = readSubscriptionFacts(answer);
  if ((await findAccountOf(ctx, facts.customer)) !== owner.billingAccountId) return undefined;
  const state = planSubscription(facts);
  return withTransaction(
    ctx,
    async (ctx) => {
      const now = ctx.clock.now();
      const isEnded = state.status === "ended";
      await ctx.db
        .insert(subscriptions)
        .values({
          id: owner.id,
          billingAccountId: owner.billingAccountId,
          // What it is beyond that is applied next, and announced. One that is over must not stand in another's way.
          status: isEnded ? "ended" : "incomplete",
          endedAt: isEnded ? endOf(facts, now) : null,
          tierId: state.tierId,
          stripePriceId: itemOf(facts).price.id,
          stripeSubscriptionId: facts.id,
          createdAt: new Date(facts.created * 1_000),
          updatedAt: now,
        })
        .onConflictDoNothing({ target: subscriptions.id });
      const [row] = await ctx.db.select().from(subscriptions).where(eq(subscriptions.id, owner.id));
      // The row says whose it is as well, and of which subscription: both must mean the same.
      const isSame = row?.billingAccountId === owner.billingAccountId;
      return isSame && (row.stripeSubscriptionId ?? facts.id) === facts.id ? row.id : undefined;
    },
    { isIdempotent: true },
  );
}

async function apply(
  ctx: PaymentsContext,
  { id, number }: { readonly id: string; readonly number: number },
  facts: SubscriptionFacts,
): Promise<SubscriptionRow | undefined> {
  const { isUnpaid, renewal, ...values } = planSubscription(facts);
  const { currency } = requireStripe(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db.select().from(subscriptions).where(eq(subscriptions.id, id)).for("update");
      if (row === undefined) throw new Error(`The subscription ${id} is gone`);
      if (number < row.answered) return undefined;
      // When it was asked is kept as well, so that the sweep does not ask again so soon; and the price, which is for statistics.
      const now = ctx.clock.now();
      const noted = {
        ...{ answered: number, updatedAt: now },
        ...{ priceMicros: microsOf(currency, renewal.cents), priceMonths: renewal.months },
      };
      if (isSame(row, values, facts)) {
        await ctx.db.update(subscriptions).set(noted).where(eq(subscriptions.id, id));
        return row;
      }
      const isEnded = values.status === "ended";
      if (!isEnded) await assertOnlyOne(ctx, row, facts);
      const [changed] = await ctx.db
        .update(subscriptions)
        .set({
          ...values,
          ...noted,
          isLapsed: row.isLapsed || isUnpaid,
          stripeSubscriptionId: facts.id,
          revision: sql`${subscriptions.revision} + 1`,
          endedAt: isEnded ? (row.endedAt ?? endOf(facts, now)) : null,
        })
        .where(eq(subscriptions.id, id))
        .returning();
      if (changed === undefined) throw new Error(`The subscription ${id} was not changed`);
      await follow(ctx, row, changed);
      return changed;
    },
    { isIdempotent: true },
  );
}

const isSame = (
  row: SubscriptionRow,
  state: Omit<SubscriptionState, "isUnpaid" | "renewal">,
  facts: SubscriptionFacts,
): boolean =>
  row.stripeSubscriptionId === facts.id &&
  row.status === state.status &&
  row.tierId === state.tierId &&
  row.pendingTierId === state.pendingTierId &&
  row.isCancelling === state.isCancelling &&
  row.isWaiting === state.isWaiting &&
  row.periodStart?.getTime() === state.periodStart.getTime() &&
  row.periodEnd?.getTime() === state.periodEnd.getTime();

/** @throws Error for a second subscription that runs, which somebody has made by hand: nobody may guess which one is meant */
async function assertOnlyOne(ctx: PaymentsContext, row: SubscriptionRow, facts: SubscriptionFacts): Promise<void> {
  if (row.endedAt === null) return;
  const live = await findLive(ctx, row.billingAccountId);
  if (live === undefined) return;
  throw new Error(
    `The account of ${facts.id} pays for ${live.stripeSubscriptionId} as well: end one of them at Stripe`,
  );
}

/** What a change of a subscription means for its account, in the transaction that writes the change. */
async function follow(ctx: PaymentsContext, before: SubscriptionRow, after: SubscriptionRow): Promise<void> {
  const { billingAccountId } = after;
  const tierBefore = givesTier(before.status) ? before.tierId : undefined;
  const tierAfter = givesTier(after.status) ? after.tierId : undefined;
  // One that never began gives no tier and takes none away.
  if (tierBefore !== tierAfter) await setAccountTier(ctx, billingAccountId, tierAfter ?? FREE_TIER_ID);
  if (tierBefore === undefined && tierAfter !== undefined) await anchorPeriods(ctx, after);
  await writeAudit(ctx, {
    action: "billing.syncSubscription",
    subject: billingAccountId,
    before: { status: before.status, tierId: before.tierId },
    after: { subscriptionId: after.id, status: after.status, tierId: after.tierId },
  });
  await appendEvent(ctx, billingSubscriptionChanged, {
    billingAccountId,
    subscriptionId: after.id,
    status: after.status,
    tierId: after.tierId,
    pendingTierId: after.pendingTierId,
    isCancelling: after.isCancelling,
    periodEnd: after.periodEnd?.toISOString() ?? null,
  });
  if (after.status === "ended" && after.isLapsed && tierBefore !== undefined) {
    await appendEvent(ctx, billingSubscriptionLapsed, {
      billingAccountId,
      subscriptionId: after.id,
      tierId: before.tierId,
    });
  }
}

/** What an account uses is invoiced by the day of its subscription, too. Periods tile also when their day becomes another. */
async function anchorPeriods(ctx: PaymentsContext, { billingAccountId, periodStart }: SubscriptionRow): Promise<void> {
  const { billingAccounts } = schema;
  const [account] = await ctx.db.select().from(billingAccounts).where(eq(billingAccounts.id, billingAccountId));
  if (account === undefined || periodStart === null) return;
  await ctx.db
    .update(billingAccounts)
    .set({ periodAnchor: localDate(periodStart.getTime(), account.timeZone) })
    .where(eq(billingAccounts.id, billingAccountId));
}

const endOf = (facts: SubscriptionFacts, now: Date): Date =>
  facts.ended_at === null ? now : new Date(facts.ended_at * 1_000);
