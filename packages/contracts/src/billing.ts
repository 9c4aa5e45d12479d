import { z } from "zod";
import { tierSubscriptionDto } from "./billing/subscriptions.ts";
import { defineEvent, defineJob } from "./definitions.ts";
import {
  emailInput,
  idSchema,
  instantInput,
  microsOutput,
  nameInput,
  pageInput,
  pageOf,
  positiveMicrosInput,
} from "./primitives.ts";

export const overagePolicy = z.enum(["block", "invoice"]);

/** A plan. */
export const tierDto = z.object({
  id: z.string(),
  displayName: z.string(),
  monthlyPriceMicros: microsOutput,
  freeCallsPerMonth: z.int(),
  rateLimitPerSecond: z.int(),
  /** What happens when the credit is used up: calls are refused, or go on to a credit limit and are invoiced. */
  overage: overagePolicy,
  creditLimitMicros: microsOutput,
  /** Whether credit that a month's subscription granted lasts beyond the month. */
  rollsOver: z.boolean(),
});
export type Tier = z.infer<typeof tierDto>;

/** A postal address. The country is an ISO 3166-1 code of two letters. */
export const addressDto = z.object({
  line1: z.string(),
  line2: z.string().nullable(),
  city: z.string(),
  region: z.string().nullable(),
  postalCode: z.string().nullable(),
  country: z.string(),
});
export type PostalAddress = z.infer<typeof addressDto>;

export const billingAccountDto = z.object({
  id: z.string(),
  name: z.string(),
  timeZone: z.string(),
  cadence: z.enum(["monthly", "quarterly", "yearly"]),
  address: addressDto.nullable(),
  taxId: z.string().nullable(),
  invoiceEmail: z.string().nullable(),
  tier: tierDto,
  /** What pays for the tier; null where nothing does. */
  subscription: tierSubscriptionDto.nullable(),
  admins: z.array(z.object({ customerId: z.string(), email: z.string(), name: z.string().nullable() })),
  createdAt: z.date(),
});
export type BillingAccount = z.infer<typeof billingAccountDto>;

export const readAccountInput = z.object({ billingAccountId: idSchema("billingAccount") });

const addressPart = z.string().trim().min(1, { error: "Must not be empty" }).max(200);
const optionalPart = addressPart.nullable().default(null);
export const addressInput = z.object({
  line1: addressPart,
  line2: optionalPart,
  city: addressPart,
  region: optionalPart,
  postalCode: z.string().trim().min(1).max(20).nullable().default(null),
  country: z
    .string()
    .trim()
    .toUpperCase()
    .regex(/^[A-Z]{2}$/, { error: "Must be a country code of two letters, for example DE" }),
});

/** A field that is not given stays as it is; null removes it. */
export const updateAccountInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  name: nameInput.optional(),
  address: addressInput.nullable().optional(),
  taxId: z.string().trim().min(2).max(50).nullable().optional(),
  invoiceEmail: emailInput.nullable().optional(),
  /** An IANA name, for example Europe/Berlin: whose midnights billing periods begin at. */
  timeZone: z.string().min(1).max(64).optional(),
  cadence: z.enum(["monthly", "quarterly", "yearly"]).optional(),
});

export const addAccountAdminInput = z.object({ billingAccountId: idSchema("billingAccount"), email: emailInput });
export const removeAccountAdminInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  customerId: idSchema("customer"),
});

export const invoiceKind = z.enum(["usage", "subscription", "credit_note"]);
export const invoiceStatus = z.enum(["draft", "final", "paid", "void"]);

export const invoiceLineDto = z.object({
  line: z.int(),
  description: z.string(),
  projectId: z.string().nullable(),
  endpointId: z.string().nullable(),
  /** Calls or units, in decimal digits. */
  quantity: z.string(),
  unitPriceMicros: microsOutput,
  amountMicros: microsOutput,
});
export const invoicePartyDto = z.object({
  name: z.string(),
  address: addressDto.nullable(),
  taxId: z.string().nullable(),
  email: z.string().nullable(),
});

/** An invoice in a list. `total` is what its lines add up to; `due` is what no credit has paid. */
export const invoiceSummaryDto = z.object({
  id: z.string(),
  billingAccountId: z.string(),
  kind: invoiceKind,
  status: invoiceStatus,
  /** Null for a period in which nothing was used. */
  number: z.string().nullable(),
  periodStart: z.date(),
  periodEnd: z.date(),
  timeZone: z.string(),
  currency: z.string(),
  totalMicros: microsOutput,
  dueMicros: microsOutput,
  /** Of a credit note: the invoice that it takes from. */
  correctsId: z.string().nullable(),
  reason: z.string().nullable(),
  finalizedAt: z.date().nullable(),
  paidAt: z.date().nullable(),
  voidedAt: z.date().nullable(),
  createdAt: z.date(),
});
export type InvoiceSummary = z.infer<typeof invoiceSummaryDto>;
export const invoiceDto = invoiceSummaryDto.extend({
  seller: invoicePartyDto,
  customer: invoicePartyDto,
  lines: z.array(invoiceLineDto),
});
export type Invoice = z.infer<typeof invoiceDto>;

export const listInvoicesInput = pageInput.extend({ billingAccountId: idSchema("billingAccount") });
export const invoicePage = pageOf(invoiceSummaryDto);
export const getInvoiceInput = z.object({
  invoiceId: idSchema("invoice"),
  format: z.enum(["json", "html", "pdf"]).default("json"),
});
export const invoiceAnswerDto = z.object({
  invoice: invoiceDto,
  /** The invoice as a document, where one was asked for: HTML as text, PDF in base64. */
  document: z.object({ contentType: z.string(), fileName: z.string(), content: z.string() }).nullable(),
});
export type InvoiceAnswer = z.infer<typeof invoiceAnswerDto>;

export const closePeriodInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  /** Every period that had ended by then is closed, in order. */
  at: instantInput,
});
export const closePeriodDto = z.object({
  /** How many periods were closed now. */
  closed: z.int(),
  /** The invoice of the last period that had ended by then; null when none has. */
  invoice: invoiceDto.nullable(),
});
export type ClosedPeriod = z.infer<typeof closePeriodDto>;

const reasonInput = z.string().trim().min(1, { error: "Must not be empty" }).max(500);
export const voidInvoiceInput = z.object({ invoiceId: idSchema("invoice"), reason: reasonInput });
export const issueCreditNoteInput = z.object({
  invoiceId: idSchema("invoice"),
  micros: positiveMicrosInput,
  reason: reasonInput,
  idempotencyKey: z.string().trim().min(1, { error: "Must not be empty" }).max(200),
});

export const pendingChargesInput = z.object({ billingAccountId: idSchema("billingAccount") });
export const pendingChargesDto = z.object({
  periodStart: z.date(),
  periodEnd: z.date(),
  totalMicros: microsOutput,
  /** The largest first, at most 1,000; `totalMicros` counts all. */
  items: z.array(
    z.object({
      projectId: z.string(),
      endpointId: z.string(),
      unitPriceMicros: microsOutput,
      units: z.string(),
      amountMicros: microsOutput,
    }),
  ),
});
export type PendingCharges = z.infer<typeof pendingChargesDto>;

const microsText = z.string().regex(/^-?\d{1,19}$/);
const invoiceFact = z.object({
  billingAccountId: z.string(),
  invoiceId: z.string(),
  kind: invoiceKind,
  number: z.string().nullable(),
  total: microsText,
  due: microsText,
});
export const billingInvoiceFinalized = defineEvent("billing.invoiceFinalized", invoiceFact);
export const billingInvoicePaid = defineEvent("billing.invoicePaid", invoiceFact);
export const billingInvoicePaymentFailed = defineEvent(
  "billing.invoicePaymentFailed",
  invoiceFact.extend({
    failureCode: z.string(),
    /** Refusals so far. */
    attempts: z.int(),
    /** Null when it is not tried again. */
    nextAttemptAt: z.iso.datetime().nullable(),
  }),
);
export const billingInvoiceVoided = defineEvent("billing.invoiceVoided", invoiceFact);
export const billingAccountUpdated = defineEvent(
  "billing.accountUpdated",
  z.object({ billingAccountId: z.string(), fields: z.array(z.string()) }),
);
export const billingAdminsChanged = defineEvent(
  "billing.adminsChanged",
  z.object({ billingAccountId: z.string(), customerId: z.string(), isAdmin: z.boolean() }),
);

const ATTEMPTS = 8;
const BACKOFF_MS = 2_000;
/** Hourly: finds the accounts whose period has ended, and orders their invoices. */
export const closePeriodsSweepJob = defineJob({
  name: "billing.close-sweep",
  queue: "billing",
  schema: z.object({}),
  attempts: ATTEMPTS,
  backoffMs: BACKOFF_MS,
});
/** Makes the invoices of a few accounts. */
export const closePeriodsJob = defineJob({
  name: "billing.close-periods",
  queue: "billing",
  schema: z.object({ billingAccountIds: z.array(z.string()).min(1).max(200), at: z.iso.datetime() }),
  attempts: ATTEMPTS,
  backoffMs: BACKOFF_MS,
});

/** Finds the invoices whose card is to be charged, and the subscriptions that nobody has heard of for long. */
export const collectSweepJob = defineJob({
  name: "billing.collect-sweep",
  queue: "billing",
  schema: z.object({}),
  attempts: 1,
  backoffMs: BACKOFF_MS,
});
/** Tries to collect what is due of one invoice, or gives up and lets the tier lapse. */
export const collectInvoiceJob = defineJob({
  name: "billing.collect",
  queue: "billing",
  schema: z.object({ invoiceId: z.string() }),
  attempts: ATTEMPTS,
  backoffMs: BACKOFF_MS,
});
