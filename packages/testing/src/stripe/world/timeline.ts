import { finalizeInvoice, followPayment, payInvoice } from "./invoices.ts";
import type { Invoice, Subscription } from "./stored.ts";
import { applyPendingUpdate, expirePendingUpdate } from "./subscriptionChanges.ts";
import {
  cancelSubscription,
  expireIncomplete,
  followInvoice,
  incompleteUntil,
  periodEndOf,
  renewSubscription,
} from "./subscriptions.ts";
import type { World } from "./world.ts";

/** One thing that time brings about. */
interface Due {
  readonly at: number;
  run(): void;
}

/** Makes invoices follow their payments, and subscriptions their invoices. */
export function connect(world: World): void {
  world.onPayment = (intent) => followPayment(world, intent);
  world.onInvoice = (invoice, outcome) => followInvoice(world, invoice, outcome);
  world.onPendingUpdatePaid = (subscription) => applyPendingUpdate(world, subscription);
}

/**
 * Does everything that is due up to an instant, one after another in the order of time, and each as of its own instant:
 * renewals, drafts that become final, payments that are tried again, things that expire.
 * @param testClock the objects of one test clock, or those without any
 */
export function runUntil(world: World, until: number, testClock: string | null): void {
  for (let due = earliest(world, testClock); due !== undefined && due.at <= until; due = earliest(world, testClock)) {
    const { at, run } = due;
    if (testClock !== null) world.testClocks.get(testClock).frozen_time = at;
    world.at(at, run);
  }
  if (testClock !== null) world.testClocks.get(testClock).frozen_time = until;
}

function earliest(world: World, testClock: string | null): Due | undefined {
  return [...dueOf(world, testClock)].reduce<Due | undefined>(
    (first, due) => (first === undefined || due.at < first.at ? due : first),
    undefined,
  );
}

function* dueOf(world: World, testClock: string | null): Generator<Due> {
  for (const subscription of world.subscriptions.all()) {
    if (subscription.test_clock === testClock) yield* dueOfSubscription(world, subscription);
  }
  for (const invoice of world.invoices.all()) {
    if (invoice.test_clock === testClock) yield* dueOfInvoice(world, invoice);
  }
  if (testClock !== null) return;
  for (const session of world.checkoutSessions.all()) {
    if (session.status !== "open") continue;
    const run = (): void => {
      world.update(session, { status: "expired", url: null }, "checkout.session.expired");
    };
    yield { at: session.expires_at, run };
  }
}

function* dueOfSubscription(world: World, subscription: Subscription): Generator<Due> {
  const { status } = subscription;
  if (status === "incomplete") {
    yield { at: incompleteUntil(subscription), run: () => expireIncomplete(world, subscription) };
  }
  if (!["active", "past_due", "trialing", "unpaid"].includes(status)) return;
  yield { at: periodEndOf(subscription), run: () => renewSubscription(world, subscription) };
  if (subscription.cancel_at !== null && !subscription.cancel_at_period_end) {
    yield { at: subscription.cancel_at, run: () => void cancelSubscription(world, subscription) };
  }
  if (subscription.pending_update !== null) {
    yield { at: subscription.pending_update.expires_at, run: () => expirePendingUpdate(world, subscription) };
  }
}

function* dueOfInvoice(world: World, invoice: Invoice): Generator<Due> {
  if (invoice.status === "draft" && typeof invoice.automatically_finalizes_at === "number") {
    const run = (): void => {
      finalizeInvoice(world, invoice);
      const isCollected = invoice.collection_method === "charge_automatically" && invoice.amount_due > 0;
      if (isCollected) payInvoice(world, invoice, { isOffSession: true });
    };
    yield { at: invoice.automatically_finalizes_at, run };
  }
  if (invoice.status === "open" && invoice.next_payment_attempt !== null) {
    yield { at: invoice.next_payment_attempt, run: () => void payInvoice(world, invoice, { isOffSession: true }) };
  }
}
