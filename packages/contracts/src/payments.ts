import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { idSchema, microsOutput, nonNegativeMicrosInput, pageInput, pageOf } from "./primitives.ts";

export const PAYMENT_KINDS = ["card", "checkout", "auto_top_up"] as const;
export const PAYMENT_STATUSES = ["pending", "requires_action", "succeeded", "failed", "canceled"] as const;
export const paymentKind = z.enum(PAYMENT_KINDS);
export const paymentStatus = z.enum(PAYMENT_STATUSES);
export type PaymentKind = z.infer<typeof paymentKind>;
export type PaymentStatus = z.infer<typeof paymentStatus>;

/** Money that somebody paid, or tried to, for credit. Amounts in cents are in the currency's smallest unit. */
export const paymentDto = z.object({
  id: z.string(),
  billingAccountId: z.string(),
  kind: paymentKind,
  status: paymentStatus,
  amountCents: z.int(),
  currency: z.string(),
  /** The credit that it is, or would be. */
  amountMicros: microsOutput,
  refundedCents: z.int(),
  /** What the bank says of a dispute; null where nobody disputes it. */
  disputeStatus: z.string().nullable(),
  /** Why it did not go through: a code such as `insufficient_funds`, and the same in words. */
  failureCode: z.string().nullable(),
  failureMessage: z.string().nullable(),
  cardId: z.string().nullable(),
  receiptUrl: z.string().nullable(),
  createdAt: z.date(),
  succeededAt: z.date().nullable(),
});
export type Payment = z.infer<typeof paymentDto>;

/** A card that can be charged. */
export const cardDto = z.object({
  id: z.string(),
  brand: z.string(),
  last4: z.string(),
  expMonth: z.int(),
  expYear: z.int(),
  isDefault: z.boolean(),
  createdAt: z.date(),
});
export type Card = z.infer<typeof cardDto>;

/** A card's id is Stripe's. */
export const cardIdInput = z.string().regex(/^pm_[0-9A-Za-z]{8,64}$/, { error: "Must be an id of the form pm_…" });
const account = { billingAccountId: idSchema("billingAccount") };
const CENTS_MIN = 500;
const CENTS_MAX = 1_000_000;
const amountCentsInput = z
  .int({ error: "Must be a whole number of cents" })
  .min(CENTS_MIN, { error: `Must be at least ${CENTS_MIN}` })
  .max(CENTS_MAX, { error: `Must be at most ${CENTS_MAX}` });
/** Only to say that it is the deployment's: any other is refused. */
const currencyInput = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[a-z]{3}$/, { error: "Must be a currency of three letters" })
  .optional();

export const accountPaymentsInput = z.object(account);
export const cardInput = z.object({ ...account, cardId: cardIdInput });
export const cardList = z.object({ items: z.array(cardDto) });
export type CardList = z.infer<typeof cardList>;

/** What a page gives to Stripe's library to save a card. */
export const cardSetupDto = z.object({ clientSecret: z.string(), publishableKey: z.string().nullable() });
export type CardSetup = z.infer<typeof cardSetupDto>;

const CHECKOUT_CENTS_MIN = 1_000;
export const createCheckoutInput = z
  .object({
    ...account,
    /** Without it the page only saves a card. */
    amountCents: amountCentsInput
      .min(CHECKOUT_CENTS_MIN, { error: `Must be at least ${CHECKOUT_CENTS_MIN}` })
      .optional(),
    saveCard: z.boolean().default(false),
    currency: currencyInput,
    /** Where the dashboard's page is that the browser comes back to. */
    returnPath: z
      .string()
      .max(500)
      .regex(/^\/(?![/\\])[\w./~-]*$/, { error: "Must be a path of the dashboard, such as /billing" })
      .default("/billing"),
  })
  .refine((input) => input.amountCents !== undefined || input.saveCard, {
    error: "Give an amount, or saveCard",
    path: ["amountCents"],
  });
export const checkoutDto = z.object({
  /** Where to send the browser. */
  url: z.string(),
  sessionId: z.string(),
  /** The payment that it will be; null where it only saves a card. */
  paymentId: z.string().nullable(),
  expiresAt: z.date(),
});
export type Checkout = z.infer<typeof checkoutDto>;

export const chargeCardInput = z.object({
  ...account,
  cardId: cardIdInput,
  amountCents: amountCentsInput,
  currency: currencyInput,
  /** The same key with the same request again is the same payment. */
  idempotencyKey: z.string().trim().min(1, { error: "Must not be empty" }).max(200),
});
export const chargeDto = z.object({
  payment: paymentDto,
  /** Not null when the bank wants to ask the cardholder: Stripe's library asks, with this. */
  clientSecret: z.string().nullable(),
});
export type Charge = z.infer<typeof chargeDto>;

export const listPaymentsInput = pageInput.extend({ ...account, status: paymentStatus.optional() });
export const paymentPage = pageOf(paymentDto);
export const paymentIdInput = z.object({ id: idSchema("payment") });
export const refundInput = z.object({
  paymentId: idSchema("payment"),
  /** All that is left when not said. */
  amountCents: z.int().min(1, { error: "Must be at least 1" }).optional(),
  reason: z.enum(["duplicate", "fraudulent", "requested_by_customer"]).optional(),
  idempotencyKey: z.string().trim().min(1, { error: "Must not be empty" }).max(200),
});
export const portalDto = z.object({ url: z.string() });
export type Portal = z.infer<typeof portalDto>;

/** Where this deployment and Stripe disagree. */
export const differenceKind = z.enum([
  "missing_here",
  "missing_there",
  "status",
  "amount",
  "currency",
  "refunds",
  "not_credited",
  /** It lacks what an intent must have. */
  "unreadable",
]);
export const paymentDifferenceDto = z.object({
  id: z.string(),
  kind: differenceKind,
  paymentId: z.string().nullable(),
  stripeId: z.string().nullable(),
  here: z.string().nullable(),
  there: z.string().nullable(),
  /** Whether it was put right, by itself. */
  isHealed: z.boolean(),
  createdAt: z.date(),
});
export type PaymentDifference = z.infer<typeof paymentDifferenceDto>;
export const paymentDifferencePage = pageOf(paymentDifferenceDto);
export const listDifferencesInput = pageInput;

/** When to charge a card by itself, and how far. */
export const autoTopUpDto = z.object({
  billingAccountId: z.string(),
  isOn: z.boolean(),
  thresholdMicros: microsOutput,
  amountCents: z.int(),
  maxPerMonthCents: z.int(),
  cardId: z.string(),
  /** Refusals in a row; after three it is off. */
  failures: z.int(),
  /** Why it is off: `declined`, `turned_off`. */
  offReason: z.string().nullable(),
});
export type AutoTopUp = z.infer<typeof autoTopUpDto>;
export const setAutoTopUpInput = z.union([
  z.object({ ...account, isOn: z.literal(false) }),
  z
    .object({
      ...account,
      isOn: z.literal(true).default(true),
      thresholdMicros: nonNegativeMicrosInput,
      amountCents: amountCentsInput,
      maxPerMonthCents: z.int().min(CENTS_MIN).max(100_000_000),
      cardId: cardIdInput,
    })
    .refine((input) => input.maxPerMonthCents >= input.amountCents, {
      error: "Must be at least amountCents",
      path: ["maxPerMonthCents"],
    }),
]);
export const autoTopUpAnswer = z.object({ autoTopUp: autoTopUpDto.nullable() });
export type AutoTopUpAnswer = z.infer<typeof autoTopUpAnswer>;

const paymentEvent = z.object({
  paymentId: z.string(),
  billingAccountId: z.string(),
  kind: paymentKind,
  amountCents: z.int(),
  currency: z.string(),
});
export const paymentsSucceeded = defineEvent("payments.succeeded", paymentEvent);
export const paymentsFailed = defineEvent("payments.failed", paymentEvent.extend({ failureCode: z.string() }));
export const paymentsRefunded = defineEvent(
  "payments.refunded",
  paymentEvent.extend({ refundId: z.string(), refundedCents: z.int() }),
);
export const paymentsDisputed = defineEvent(
  "payments.disputed",
  paymentEvent.extend({ disputeId: z.string(), disputedCents: z.int(), status: z.string(), reason: z.string() }),
);
const cardEvent = z.object({ billingAccountId: z.string(), cardId: z.string(), brand: z.string(), last4: z.string() });
export const paymentsMethodAdded = defineEvent("payments.methodAdded", cardEvent);
export const paymentsMethodRemoved = defineEvent("payments.methodRemoved", cardEvent);
export const paymentsDefaultCardChanged = defineEvent(
  "payments.defaultCardChanged",
  z.object({ billingAccountId: z.string(), cardId: z.string() }),
);
export const paymentsAutoTopUpChanged = defineEvent(
  "payments.autoTopUpChanged",
  z.object({ billingAccountId: z.string(), isOn: z.boolean() }),
);
export const balanceTopUpFailed = defineEvent(
  "balance.topUpFailed",
  z.object({
    billingAccountId: z.string(),
    paymentId: z.string(),
    failureCode: z.string(),
    failures: z.int(),
    /** Whether it is off now. */
    isOff: z.boolean(),
  }),
);

const ATTEMPTS = 10;
const BACKOFF_MS = 1_000;

/** Does what one of Stripe's events asks for: looks the object up and makes ours like it. */
export const processStripeEventJob = defineJob({
  name: "payments.process-event",
  queue: "payments",
  schema: z.object({ eventId: z.string() }),
  attempts: ATTEMPTS,
  backoffMs: BACKOFF_MS,
  id: ({ eventId }) => eventId,
});

/** Orders events whose job has gone, and asks what became of payments that nobody has heard of again. */
export const paymentsSweepJob = defineJob({
  name: "payments.sweep",
  queue: "payments",
  schema: z.object({}),
  attempts: 1,
  backoffMs: BACKOFF_MS,
});

/** Charges the card of one account whose credit has run low. */
export const topUpJob = defineJob({
  name: "payments.top-up",
  queue: "payments",
  schema: z.object({ billingAccountId: z.string() }),
  attempts: ATTEMPTS,
  backoffMs: BACKOFF_MS,
});

/** Finds the accounts whose credit has run low and whose card may be charged for that. */
export const topUpSweepJob = defineJob({
  name: "payments.top-up-sweep",
  queue: "payments",
  schema: z.object({}),
  attempts: 1,
  backoffMs: BACKOFF_MS,
});

/** Compares the payments of the last days with Stripe's. */
export const reconcilePaymentsJob = defineJob({
  name: "payments.reconcile",
  queue: "payments",
  schema: z.object({}),
  attempts: 5,
  backoffMs: 60_000,
});
