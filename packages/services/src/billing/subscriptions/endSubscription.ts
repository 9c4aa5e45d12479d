import { TollgateError } from "@tollgate/kernel";
import { askStripe } from "../../payments/askStripe.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { givesTier } from "./planSubscription.ts";
import { syncStripeInvoice } from "./syncStripeInvoice.ts";
import type { SyncedSubscription } from "./syncSubscription.ts";
import { requireSynced } from "./syncSubscription.ts";

/**
 * Ends a subscription now, and takes back what its newest invoice still asks for. What is ended already stays so, so it
 * may be done again. @returns the subscription as it is then
 * @throws Error when Stripe does not end it
 */
export async function endAtStripe(ctx: PaymentsContext, synced: SyncedSubscription): Promise<SyncedSubscription> {
  const { client } = requireStripe(ctx);
  const { row, facts } = synced;
  if (row.status !== "ended") {
    await ignoreWhatIsDone(() =>
      client.subscriptions.cancel(
        facts.id,
        { invoice_now: false, prorate: false },
        { idempotencyKey: `end:${row.id}` },
      ),
    );
  }
  if (facts.latest_invoice !== null) await takeInvoiceBack(ctx, facts.latest_invoice);
  const ended = await requireSynced(ctx, facts.id);
  if (ended.row.status !== "ended") throw new Error(`The subscription ${facts.id} has not ended`);
  return ended;
}

/**
 * Ends a subscription whose first payment has not come. Its invoice is taken back first: whoever pays it at that moment
 * either has the subscription or has not paid. @returns the subscription, which runs if it was paid
 */
export async function endUnlessPaid(ctx: PaymentsContext, synced: SyncedSubscription): Promise<SyncedSubscription> {
  const { latest_invoice: invoice } = synced.facts;
  if (invoice !== null) await takeInvoiceBack(ctx, invoice);
  const again = await requireSynced(ctx, synced.facts.id);
  if (givesTier(again.row.status)) return again;
  return endAtStripe(ctx, again);
}

/** Makes an invoice ask for nothing any more, if it still does. */
export async function takeInvoiceBack(
  ctx: PaymentsContext,
  { id, status }: { readonly id: string; readonly status: string | null },
): Promise<void> {
  const { client } = requireStripe(ctx);
  if (status !== "draft" && status !== "open" && status !== "uncollectible") return;
  if (status === "draft") {
    // A subscription's draft cannot be deleted, and it must not be collected when it becomes final.
    const final = { auto_advance: false };
    await ignoreWhatIsDone(() => client.invoices.finalizeInvoice(id, final, { idempotencyKey: `final:${id}` }));
  }
  await ignoreWhatIsDone(() => client.invoices.voidInvoice(id, {}, { idempotencyKey: `void:${id}` }));
  await syncStripeInvoice(ctx, id);
}

/** What has ended, is void or is paid meanwhile cannot be ended again; the sync afterwards sees which it is. */
async function ignoreWhatIsDone(ask: () => Promise<unknown>): Promise<void> {
  try {
    await askStripe(ask);
  } catch (error) {
    const isDone =
      (error instanceof TollgateError && error.code === "NOT_FOUND") ||
      (error as { code?: unknown }).code === "invoice_not_editable" ||
      (error as { statusCode?: unknown }).statusCode === 400;
    if (!isDone) throw error;
  }
}
