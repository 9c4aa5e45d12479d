import { invalidRequest } from "../http/apiError.ts";
import type { NewLine } from "./invoiceLines.ts";
import { insertInvoiceItem } from "./invoiceLines.ts";
import { createInvoice, finalizeInvoice, payInvoice, voidInvoice } from "./invoices.ts";
import { boundary } from "./periods.ts";
import { amountOf, planOf, productName, recurringOf } from "./prices.ts";
import type { Price, Subscription, SubscriptionItem } from "./stored.ts";
import type { PaymentBehavior } from "./subscriptions.ts";
import { addItem, assertMethodPays, itemsOf, lineOfPeriod } from "./subscriptions.ts";
import type { World } from "./world.ts";

/** What becomes of one item: another price or quantity, a new item, or the end of one. */
export interface ItemChange {
  readonly item: SubscriptionItem | undefined;
  readonly price: Price | undefined;
  readonly quantity: number | undefined;
  readonly isDeleted: boolean;
}

export interface SubscriptionChange {
  readonly items: readonly ItemChange[];
  readonly prorationBehavior: "create_prorations" | "always_invoice" | "none";
  readonly prorationDate: number;
  readonly isAnchorReset: boolean;
  readonly paymentBehavior: PaymentBehavior;
  readonly isOffSession: boolean;
  readonly details: Partial<Subscription>;
}

const PENDING_SECONDS = 23 * 3_600;

/** Applies a change: the lines for the rest of the period, the invoice if there is one to be made now, the new items. */
export function changeSubscription(world: World, subscription: Subscription, change: SubscriptionChange): Subscription {
  const previous = structuredClone(subscription);
  const lines = prorationLines(world, subscription, change);
  const isReset = resetsPeriod(change);
  const isInvoicedNow = change.prorationBehavior === "always_invoice" || isReset;
  const due = lines.reduce((sum, line) => sum + line.amount, 0);
  if (change.paymentBehavior === "error_if_incomplete" && isInvoicedNow && due > 0) {
    const own = change.details.default_payment_method ?? subscription.default_payment_method;
    assertMethodPays(world, subscription.customer, typeof own === "string" ? own : undefined);
  }
  Object.assign(subscription, change.details);
  const isPending = change.paymentBehavior === "pending_if_incomplete" && isInvoicedNow && due > 0;
  if (isPending) holdChange(world, subscription, change);
  else applyItems(world, subscription, change, isReset);
  emitChange(world, subscription, previous);
  if (change.items.length === 0 && !change.isAnchorReset) return subscription;
  if (isInvoicedNow) invoiceChange(world, subscription, change, lines);
  else for (const line of lines) insertInvoiceItem(world, subscription.customer, line, null);
  return subscription;
}

function invoiceChange(
  world: World,
  subscription: Subscription,
  change: SubscriptionChange,
  lines: readonly NewLine[],
): void {
  const before = subscription.latest_invoice;
  const invoice = createInvoice(world, {
    customer: subscription.customer,
    currency: subscription.currency,
    reason: "subscription_update",
    subscription,
    lines,
  });
  subscription.latest_invoice = invoice.id;
  finalizeInvoice(world, invoice);
  if (invoice.status === "open" && change.paymentBehavior !== "default_incomplete") {
    payInvoice(world, invoice, { isOffSession: change.isOffSession });
  }
  world.emit("customer.subscription.updated", subscription, { latest_invoice: before });
}

function emitChange(world: World, subscription: Subscription, previous: Subscription): void {
  const changed = Object.entries(previous).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify((subscription as Record<string, unknown>)[name]),
  );
  if (changed.length > 0) world.emit("customer.subscription.updated", subscription, Object.fromEntries(changed));
}

/** The change waits for its payment: it is there when the invoice is paid and gone when nobody pays in time. */
function holdChange(world: World, subscription: Subscription, change: SubscriptionChange): void {
  world.pendingChanges.insert({
    id: subscription.id,
    items: change.items.map((one) => ({
      item: one.item?.id,
      price: one.price?.id,
      quantity: one.quantity,
      isDeleted: one.isDeleted,
    })),
    isAnchorReset: change.isAnchorReset,
  });
  subscription.pending_update = {
    billing_cycle_anchor: null,
    cancel_at_period_end: null,
    discount: null,
    discounts: null,
    expires_at: world.now(subscription.customer) + PENDING_SECONDS,
    metadata: null,
    subscription_items: itemsOf(subscription).map((item) => {
      const wanted = change.items.find((one) => one.item?.id === item.id);
      const price = wanted?.price ?? item.price;
      return {
        ...structuredClone(item),
        price: structuredClone(price),
        plan: planOf(price),
        quantity: wanted?.quantity ?? item.quantity ?? 1,
      };
    }),
    trial_end: null,
    trial_from_plan: null,
  } as NonNullable<Subscription["pending_update"]>;
}

export function applyPendingUpdate(world: World, subscription: Subscription): void {
  const held = world.pendingChanges.find(subscription.id);
  if (held === undefined) return;
  const items = held.items.map((one) => ({
    item: itemsOf(subscription).find((item) => item.id === one.item),
    price: world.prices.find(one.price),
    quantity: one.quantity,
    isDeleted: one.isDeleted,
  }));
  world.pendingChanges.delete(subscription.id);
  const previous = structuredClone(subscription);
  subscription.pending_update = null;
  const change = { items, isAnchorReset: held.isAnchorReset };
  applyItems(world, subscription, change, resetsPeriod(change));
  world.emit("customer.subscription.pending_update_applied", subscription);
  emitChange(world, subscription, previous);
}

export function expirePendingUpdate(world: World, subscription: Subscription): void {
  world.pendingChanges.delete(subscription.id);
  const invoice = world.invoices.find(subscription.latest_invoice);
  if (invoice?.status === "open") voidInvoice(world, invoice);
  subscription.pending_update = null;
  world.emit("customer.subscription.pending_update_expired", subscription);
}

type Reset = Pick<SubscriptionChange, "items" | "isAnchorReset">;

/** A price of another interval begins a period of its own, and so does a new anchor. */
function resetsPeriod(change: Reset): boolean {
  return (
    change.isAnchorReset ||
    change.items.some(({ item, price }) => {
      const before = item?.price.recurring;
      const after = price?.recurring;
      if (before === null || before === undefined || after === null || after === undefined) return false;
      return before.interval !== after.interval || before.interval_count !== after.interval_count;
    })
  );
}

function applyItems(world: World, subscription: Subscription, change: Reset, isReset: boolean): void {
  const items = itemsOf(subscription);
  const [first] = items;
  const period = { start: first?.current_period_start ?? 0, end: first?.current_period_end ?? 0 };
  for (const { item, price, quantity, isDeleted } of change.items) {
    if (item === undefined) {
      if (price !== undefined) addItem(world, subscription, price, quantity ?? 1, period);
    } else if (isDeleted) {
      items.splice(items.indexOf(item), 1);
    } else {
      if (price !== undefined) Object.assign(item, { price: structuredClone(price), plan: planOf(price) });
      if (quantity !== undefined) item.quantity = quantity;
    }
  }
  const [recurring] = items.map((item) => recurringOf(item.price));
  if (!isReset || recurring === undefined) return;
  const now = world.now(subscription.customer);
  subscription.billing_cycle_anchor = now;
  const end = boundary(now, recurring, 1);
  for (const item of items) Object.assign(item, { current_period_start: now, current_period_end: end });
}

/**
 * What a change costs or gives back for the rest of the period, to the second: the unused time of the old price as a
 * credit and the remaining time of the new one. A change that begins a new period gives the rest of the old one back and
 * asks for the whole new one.
 */
export function prorationLines(world: World, subscription: Subscription, change: SubscriptionChange): NewLine[] {
  const [first] = itemsOf(subscription);
  if (first === undefined || subscription.status === "trialing") return [];
  const isReset = resetsPeriod(change);
  const period = { start: first.current_period_start, end: first.current_period_end };
  const date = Math.min(Math.max(change.prorationDate, period.start), period.end);
  const part = (amount: number): number => Math.round((amount * (period.end - date)) / (period.end - period.start));
  const isProrating = change.prorationBehavior !== "none";
  const lines: NewLine[] = [];
  const rest = { start: date, end: period.end };
  const touched = isReset
    ? itemsOf(subscription).map((item) => change.items.find((one) => one.item === item) ?? keep(item))
    : change.items;
  for (const { item, price, quantity, isDeleted } of touched) {
    const before = item === undefined ? 0 : amountOf(item.price, item.quantity ?? 1);
    const target = price ?? item?.price;
    const count = quantity ?? item?.quantity ?? 1;
    const common = { period: rest, isProration: true, subscription: subscription.id, subscriptionItem: item?.id };
    if (item !== undefined && isProrating && before > 0) {
      lines.push({
        ...common,
        amount: -part(before),
        currency: item.price.currency,
        description: `Unused time on ${productName(world, item.price)} after ${dayOf(date)}`,
        price: item.price,
        quantity: item.quantity ?? 1,
      });
    }
    if (isDeleted || target === undefined || isReset || !isProrating || amountOf(target, count) === 0) continue;
    lines.push({
      ...common,
      amount: part(amountOf(target, count)),
      currency: target.currency,
      description: `Remaining time on ${productName(world, target)} after ${dayOf(date)}`,
      price: target,
      quantity: count,
    });
  }
  return isReset ? [...lines, ...wholePeriodLines(world, subscription, change)] : lines;
}

const keep = (item: SubscriptionItem): ItemChange => ({
  item,
  price: undefined,
  quantity: undefined,
  isDeleted: false,
});

function wholePeriodLines(world: World, subscription: Subscription, change: SubscriptionChange): NewLine[] {
  const after = structuredClone(subscription);
  const items = change.items.map((one) => ({ ...one, item: itemsOf(after).find(({ id }) => id === one.item?.id) }));
  applyItems(world, after, { items, isAnchorReset: change.isAnchorReset }, true);
  return itemsOf(after).map((item) => lineOfPeriod(world, after, item));
}

const dayOf = (seconds: number): string =>
  new Date(seconds * 1_000).toLocaleDateString("en-GB", {
    day: "2-digit",
    month: "short",
    year: "numeric",
    timeZone: "UTC",
  });

/** The items of a request, against what is there. @throws ApiError for an item of another subscription */
export function itemChanges(
  world: World,
  subscription: Subscription,
  wanted: readonly {
    id?: string | undefined;
    price?: string | undefined;
    quantity?: number | undefined;
    deleted?: boolean | undefined;
  }[],
): ItemChange[] {
  return wanted.map((one, index) => {
    const item = one.id === undefined ? undefined : itemsOf(subscription).find(({ id }) => id === one.id);
    if (one.id !== undefined && item === undefined) {
      throw invalidRequest(`No such subscription item: '${one.id}'`, {
        code: "resource_missing",
        param: `items[${index}][id]`,
      });
    }
    const price = one.price === undefined ? undefined : world.prices.get(one.price, `items[${index}][price]`);
    if (price !== undefined) recurringOf(price);
    return { item, price, quantity: one.quantity, isDeleted: one.deleted === true };
  });
}
