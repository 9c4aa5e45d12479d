import type { AutoTopUp, AutoTopUpAnswer, setAutoTopUpInput } from "@tollgate/contracts";
import { paymentsAutoTopUpChanged } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import { requireAccountAdmin } from "../../permissions.ts";
import { requireOwnCard } from "../requireOwnCard.ts";
import type { PaymentsContext, PaymentsVerb } from "../stripeAccount.ts";

const { autoTopUps } = schema;
type AutoTopUpRow = typeof autoTopUps.$inferSelect;

/**
 * Charges a card by itself whenever the credit is below a threshold, up to an amount a month; or stops doing so. Setting
 * it again forgets earlier refusals.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for an account or a card that is not theirs; UNAVAILABLE
 */
export async function setAutoTopUp({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof setAutoTopUpInput>>): Promise<AutoTopUpAnswer> {
  await requireAccountAdmin(ctx, input.billingAccountId);
  if (input.isOn) await requireOwnCard(ctx, input.billingAccountId, input.cardId);
  return withTransaction(ctx, (ctx) => setInTransaction(ctx, input), { isIdempotent: true });
}

async function setInTransaction(
  ctx: PaymentsContext,
  input: z.output<typeof setAutoTopUpInput>,
): Promise<AutoTopUpAnswer> {
  const { billingAccountId } = input;
  const now = ctx.clock.now();
  const rows = input.isOn
    ? await turnOn(ctx, input, now)
    : await ctx.db
        .update(autoTopUps)
        .set({ isOn: false, offReason: "turned_off", updatedAt: now })
        .where(eq(autoTopUps.billingAccountId, billingAccountId))
        .returning();
  const [row] = rows;
  await writeAudit(ctx, { action: "balance.setAutoTopUp", subject: billingAccountId, after: input });
  await appendEvent(ctx, paymentsAutoTopUpChanged, { billingAccountId, isOn: input.isOn });
  return { autoTopUp: row === undefined ? null : toAutoTopUp(row) };
}

function turnOn(
  ctx: PaymentsContext,
  input: Extract<z.output<typeof setAutoTopUpInput>, { isOn: true }>,
  now: Date,
): Promise<AutoTopUpRow[]> {
  const { thresholdMicros, amountCents, maxPerMonthCents, cardId } = input;
  const wanted = { isOn: true, thresholdMicros, amountCents, maxPerMonthCents, cardId, failures: 0, offReason: null };
  return ctx.db
    .insert(autoTopUps)
    .values({ ...wanted, billingAccountId: input.billingAccountId, nextAttemptAt: now, createdAt: now, updatedAt: now })
    .onConflictDoUpdate({ target: autoTopUps.billingAccountId, set: { ...wanted, nextAttemptAt: now, updatedAt: now } })
    .returning();
}

export function toAutoTopUp(row: AutoTopUpRow): AutoTopUp {
  return {
    billingAccountId: row.billingAccountId,
    isOn: row.isOn,
    thresholdMicros: row.thresholdMicros,
    amountCents: row.amountCents,
    maxPerMonthCents: row.maxPerMonthCents,
    cardId: row.cardId,
    failures: row.failures,
    offReason: row.offReason,
  };
}
