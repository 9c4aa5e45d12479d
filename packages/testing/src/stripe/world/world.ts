import type { Clock } from "@tollgate/kernel";
import { randomBase62 } from "@tollgate/kernel";
import { cardNamed } from "../cards.ts";
import type {
  BalanceTransaction,
  Charge,
  CheckoutLine,
  CheckoutSession,
  CreditNote,
  Customer,
  Dispute,
  Invoice,
  InvoiceItem,
  InvoicePayment,
  PaymentIntent,
  PaymentMethod,
  PortalSession,
  Price,
  Product,
  Refund,
  SetupIntent,
  StoredEvent,
  Subscription,
  TestClockObject,
  WebhookEndpoint,
} from "./stored.ts";
import { Table } from "./table.ts";

export const API_VERSION = "2026-10-28.endive";

/** Tables of what is known beside the objects. */
const NOT_OBJECTS: ReadonlySet<string> = new Set(["checkouts", "deleted", "cardsSetUp", "pendingChanges"]);

/** What this account does when a subscription's payment fails: when it tries again, and what it does after the last time. */
export interface DunningPolicy {
  readonly retryAfterDays: readonly number[];
  readonly afterLast: "cancel" | "unpaid" | "past_due";
}

export interface WorldOptions {
  readonly clock: Clock;
  readonly dunning?: DunningPolicy;
}

/**
 * One Stripe account: every object there is, kept as it is sent. Nothing here waits for anything, so a request is one step
 * that happens or does not.
 */
export class World {
  readonly customers = new Table<Customer>("customer");
  readonly paymentMethods = new Table<PaymentMethod>("PaymentMethod");
  readonly setupIntents = new Table<SetupIntent>("setupintent");
  readonly paymentIntents = new Table<PaymentIntent>("payment_intent");
  readonly charges = new Table<Charge>("charge");
  readonly refunds = new Table<Refund>("refund");
  readonly disputes = new Table<Dispute>("dispute");
  readonly balanceTransactions = new Table<BalanceTransaction>("balance transaction");
  readonly products = new Table<Product>("product");
  readonly prices = new Table<Price>("price");
  readonly subscriptions = new Table<Subscription>("subscription");
  readonly invoices = new Table<Invoice>("invoice");
  readonly invoiceItems = new Table<InvoiceItem>("invoiceitem");
  readonly invoicePayments = new Table<InvoicePayment>("invoice_payment");
  readonly creditNotes = new Table<CreditNote>("credit_note");
  readonly checkoutSessions = new Table<CheckoutSession>("checkout.session");
  readonly portalSessions = new Table<PortalSession>("billing_portal.session");
  readonly webhookEndpoints = new Table<WebhookEndpoint>("webhook endpoint");
  readonly testClocks = new Table<TestClockObject>("test_helpers.test_clock");
  readonly events = new Table<StoredEvent>("event");
  /** What a checkout session sells, and what it was told of the payment or subscription that it makes. */
  readonly checkouts = new Table<CheckoutDetails>("checkout.session");
  /** Ids of objects that were deleted, which answers say. */
  readonly deleted = new Table<{ id: string; object: string; deleted: true }>("object");

  /** Cards whose holders have agreed to payments without them. */
  readonly cardsSetUp = new Table<{ id: string }>("card");

  /** Changes of subscriptions that wait for their payment. */
  readonly pendingChanges = new Table<PendingChange>("pending change");

  readonly clock: Clock;
  readonly dunning: DunningPolicy;
  /** The request at hand, which the events that it causes name. */
  request: StoredEvent["request"] = { id: null, idempotency_key: null };
  /** Where this account's pages are. */
  url = "";
  /** What follows from a payment that went on, from an invoice that was paid or refused, and from a change that was paid. */
  onPayment: (intent: PaymentIntent) => void = () => undefined;
  onInvoice: (invoice: Invoice, outcome: "paid" | "refused") => void = () => undefined;
  onPendingUpdatePaid: (subscription: Subscription) => void = () => undefined;
  readonly #listeners: ((event: StoredEvent) => void)[] = [];
  #present: number | undefined;

  constructor(options: WorldOptions) {
    this.clock = options.clock;
    this.dunning = options.dunning ?? { retryAfterDays: [3, 5, 7], afterLast: "cancel" };
  }

  /** A new id, as Stripe makes them: the kind's prefix and random characters. */
  id(prefix: string): string {
    return `${prefix}_${randomBase62(24)}`;
  }

  /** Seconds since 1970, by the test clock of a customer that has one. */
  now(customerId?: string | null): number {
    const clockId = this.testClockOf(customerId);
    if (clockId !== null) return this.testClocks.get(clockId).frozen_time;
    return this.#present ?? Math.floor(this.clock.nowMs() / 1_000);
  }

  /** Does something as of an instant that has passed: what was due while nobody looked. */
  at(present: number, work: () => void): void {
    const before = this.#present;
    this.#present = present;
    try {
      work();
    } finally {
      this.#present = before;
    }
  }

  testClockOf(customerId: string | null | undefined): string | null {
    return this.customers.find(customerId)?.test_clock ?? null;
  }

  /** Something happened: the object is copied as it is now. */
  emit(type: string, object: object, previous?: Record<string, unknown>): StoredEvent {
    const copy = structuredClone(object) as Record<string, unknown>;
    const owner = copy["object"] === "customer" ? copy["id"] : copy["customer"];
    const event: StoredEvent = {
      id: this.id("evt"),
      object: "event",
      api_version: API_VERSION,
      created: this.now(typeof owner === "string" ? owner : null),
      data: { object: copy, ...(previous === undefined ? {} : { previous_attributes: structuredClone(previous) }) },
      livemode: false,
      pending_webhooks: 0,
      request: { ...this.request },
      type,
    };
    this.events.insert(event);
    for (const listener of this.#listeners) listener(event);
    return event;
  }

  onEvent(listener: (event: StoredEvent) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Changes an object and says so, with the values from before. Nothing is said when nothing changed.
   * @returns the object
   */
  update<Row extends { id: string }>(row: Row, changes: Partial<Row>, type: string): Row {
    const previous: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(changes)) {
      const before = (row as Record<string, unknown>)[name];
      if (JSON.stringify(before) !== JSON.stringify(value)) previous[name] = before;
    }
    Object.assign(row, changes);
    if (Object.keys(previous).length > 0) this.emit(type, row, previous);
    return row;
  }

  /** A customer who is there. @throws ApiError for one that is not, or that was deleted */
  customer(id: string, param?: string): Customer {
    return this.customers.get(id, param);
  }

  /** A payment method of a real id, or a new one of a test id such as `pm_card_visa`. */
  paymentMethod(id: string, param = "payment_method"): PaymentMethod {
    const card = cardNamed(id);
    return card === undefined ? this.paymentMethods.get(id, param) : this.insertCard(card);
  }

  insertCard(card: PaymentMethod["card"], details: Partial<PaymentMethod> = {}): PaymentMethod {
    return this.paymentMethods.insert({
      id: this.id("pm"),
      object: "payment_method",
      allow_redisplay: "unspecified",
      billing_details: {
        address: { city: null, country: null, line1: null, line2: null, postal_code: null, state: null },
        email: null,
        name: null,
        phone: null,
        tax_id: null,
      },
      ...(card === undefined ? {} : { card }),
      created: this.now(),
      customer: null,
      customer_account: null,
      livemode: false,
      metadata: {},
      type: "card",
      ...details,
    });
  }

  /** Any object by its id, for references that an answer expands. */
  findObject(id: string): object | undefined {
    for (const table of this.#tables()) {
      const row = table.find(id);
      if (row !== undefined && "object" in row) return row;
    }
    return this.deleted.find(id);
  }

  toJSON(): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(this).flatMap(([name, value]) => (value instanceof Table ? [[name, value.all()]] : [])),
    );
  }

  load(state: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(this)) {
      const rows = state[name];
      if (value instanceof Table && Array.isArray(rows)) value.load(rows);
    }
  }

  #tables(): Table<{ id: string }>[] {
    return Object.entries(this).flatMap(([name, value]) =>
      value instanceof Table && !NOT_OBJECTS.has(name) ? [value] : [],
    );
  }
}

export interface CheckoutDetails {
  readonly id: string;
  readonly lines: CheckoutLine[];
  readonly paymentData: Readonly<Record<string, unknown>>;
  readonly subscriptionData: Readonly<Record<string, unknown>>;
  readonly setupData: Readonly<Record<string, unknown>>;
}

export interface PendingChange {
  readonly id: string;
  readonly items: {
    readonly item: string | undefined;
    readonly price: string | undefined;
    readonly quantity: number | undefined;
    readonly isDeleted: boolean;
  }[];
  readonly isAnchorReset: boolean;
}
