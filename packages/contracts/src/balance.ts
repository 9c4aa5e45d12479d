import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import {
  idSchema,
  instantInput,
  lastEventId,
  microsOutput,
  pageInput,
  pageOf,
  positiveMicrosInput,
} from "./primitives.ts";

export const grantSource = z.enum(["paid", "promo", "subscription", "adjustment"]);
export type GrantSource = z.infer<typeof grantSource>;
export const transactionKind = z.enum(["credit", "debit", "settlement", "transfer", "expiry", "refund", "reversal"]);
export type TransactionKind = z.infer<typeof transactionKind>;

/** An amount of credit. `remainingMicros` is what later spending may still take from it. */
export const grantDto = z.object({
  id: z.string(),
  source: grantSource,
  amountMicros: microsOutput,
  remainingMicros: microsOutput,
  reference: z.string(),
  createdAt: z.date(),
  expiresAt: z.date().nullable(),
});
export type Grant = z.infer<typeof grantDto>;

/**
 * A wallet at one instant, in micros. `balance` is what the customer owns: everything posted, less the calls that wait
 * for settlement, less credit that has expired. `held` is set aside for calls in flight. `available` = balance +
 * creditLimit − held is what new calls may spend.
 */
export const balanceDto = z.object({
  billingAccountId: z.string(),
  balance: microsOutput,
  held: microsOutput,
  available: microsOutput,
  creditLimit: microsOutput,
  /** Credit that can still be spent, in the order in which it will be. The calls of this hour are not yet taken off. */
  grants: z.array(grantDto),
});
export type Balance = z.infer<typeof balanceDto>;

/** One movement of credit that was not usage. The amount is signed: positive is credit, negative is debit. */
export const adjustmentDto = z.object({
  id: z.string(),
  billingAccountId: z.string(),
  kind: transactionKind,
  amountMicros: microsOutput,
  reference: z.string(),
  visible: z.boolean(),
  /** The grant that a credit made. */
  grantId: z.string().nullable(),
  /** The payment provider's receipt, where a payment made this credit and there is one. */
  receiptUrl: z.string().nullable(),
  createdAt: z.date(),
});
export type Adjustment = z.infer<typeof adjustmentDto>;

/** What a settlement's line is for. */
export const ledgerLineDetail = z.object({
  hour: z.string(),
  projectId: z.string(),
  endpointId: z.string(),
  unitPriceMicros: z.string(),
  calls: z.int(),
  units: z.string(),
});

/** One line of the wallet's statement. The amounts of all lines add up to what is posted. */
export const ledgerEntryDto = z.object({
  transactionId: z.string(),
  line: z.int(),
  kind: transactionKind,
  amountMicros: microsOutput,
  /** Null where the operator made the movement invisible; its amount still counts. */
  reference: z.string().nullable(),
  detail: ledgerLineDetail.nullable(),
  createdAt: z.date(),
});
export type LedgerEntry = z.infer<typeof ledgerEntryDto>;

export const billingAccountIdInput = z.object({ billingAccountId: idSchema("billingAccount") });
export const billingAccountPageInput = pageInput.extend({ billingAccountId: idSchema("billingAccount") });
export const ledgerPage = pageOf(ledgerEntryDto);
export const adjustmentPage = pageOf(adjustmentDto);
export const grantPage = pageOf(grantDto);

const idempotencyKeyInput = z
  .string()
  .trim()
  .min(1, { error: "Must not be empty" })
  .max(200, { error: "Must be at most 200 characters" });
const referenceInput = z.string().trim().min(1, { error: "Must not be empty" }).max(500);

export const decrementInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  micros: positiveMicrosInput,
  reference: referenceInput,
  visible: z.boolean().default(true),
  idempotencyKey: idempotencyKeyInput,
});

export const incrementInput = decrementInput.extend({
  source: z.enum(["adjustment", "promo"]).default("adjustment"),
  /** Rounded up to the whole hour. */
  expiresAt: instantInput.optional(),
});

export const reverseInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  /** The credit, debit or settlement that is taken back or given back. */
  transactionId: idSchema("transaction"),
  /** Of a settlement or debit, a part of it; all that is left of it when not said. A credit is reversed whole. */
  micros: positiveMicrosInput.optional(),
  reference: referenceInput,
  visible: z.boolean().default(true),
  idempotencyKey: idempotencyKeyInput,
});

export const setLowBalanceAlertInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  /**
   * What is available falling below this is announced; null turns it off. An account that never said either is told at
   * the deployment's setting `lowBalanceMicros`.
   */
  thresholdMicros: positiveMicrosInput.nullable(),
});
export const lowBalanceAlertDto = z.object({
  billingAccountId: z.string(),
  thresholdMicros: microsOutput.nullable(),
});
export type LowBalanceAlert = z.infer<typeof lowBalanceAlertDto>;

export const liveBalanceInput = billingAccountIdInput.extend({ lastEventId });
/** What a wallet holds at the moment; see `balanceDto` for the words. */
export const liveBalanceDto = balanceDto.omit({ grants: true });
export type LiveBalance = z.infer<typeof liveBalanceDto>;

export const transferInput = z
  .object({
    fromBillingAccountId: idSchema("billingAccount"),
    toBillingAccountId: idSchema("billingAccount"),
    micros: positiveMicrosInput,
    reference: referenceInput,
    visible: z.boolean().default(true),
    idempotencyKey: idempotencyKeyInput,
  })
  .refine((input) => input.fromBillingAccountId !== input.toBillingAccountId, {
    error: "Must be another billing account",
    path: ["toBillingAccountId"],
  });

// Events and jobs travel as JSON, which has no bigint: amounts are decimal strings.
const microsText = z.string().regex(/^-?\d{1,19}$/);

export const balanceCredited = defineEvent(
  "balance.credited",
  z.object({
    billingAccountId: z.string(),
    transactionId: z.string(),
    grantId: z.string(),
    source: grantSource,
    micros: microsText,
  }),
);
export const balanceDebited = defineEvent(
  "balance.debited",
  z.object({
    billingAccountId: z.string(),
    transactionId: z.string(),
    kind: transactionKind,
    micros: microsText,
  }),
);
/** What is available has fallen below the account's threshold, or the deployment's. Once for each crossing. */
export const balanceLow = defineEvent(
  "balance.low",
  z.object({ billingAccountId: z.string(), available: microsText, threshold: microsText }),
);
export const balanceLowAlertSet = defineEvent(
  "balance.lowAlertSet",
  z.object({ billingAccountId: z.string(), threshold: microsText.nullable() }),
);
/** Nothing is available any more: calls that cost are refused. Once for each crossing. */
export const balanceExhausted = defineEvent(
  "balance.exhausted",
  z.object({ billingAccountId: z.string(), available: microsText }),
);

const BILLING_ATTEMPTS = 8;
const BILLING_BACKOFF_MS = 2_000;

/** Hourly: finds every account with unposted usage of past hours, and orders its settlement. */
export const settleSweepJob = defineJob({
  name: "balance.settle-sweep",
  queue: "billing",
  schema: z.object({}),
  attempts: BILLING_ATTEMPTS,
  backoffMs: BILLING_BACKOFF_MS,
});

/** Posts the usage of a few accounts up to an hour. */
export const settleJob = defineJob({
  name: "balance.settle",
  queue: "billing",
  schema: z.object({ billingAccountIds: z.array(z.string()).min(1).max(200), before: z.iso.datetime() }),
  attempts: BILLING_ATTEMPTS,
  backoffMs: BILLING_BACKOFF_MS,
});

/** Hourly: takes credit that has expired and was not spent off the books. */
export const expireSweepJob = defineJob({
  name: "balance.expire-sweep",
  queue: "billing",
  schema: z.object({}),
  attempts: BILLING_ATTEMPTS,
  backoffMs: BILLING_BACKOFF_MS,
});

/** Hourly: compares everything that must be equal, and says what is not. */
export const runChecksJob = defineJob({
  name: "checks.run",
  queue: "billing",
  schema: z.object({}),
  attempts: 3,
  backoffMs: 10_000,
});

/** Every minute: announces wallets that have run low or empty since the last look. */
export const levelSweepJob = defineJob({
  name: "balance.level-sweep",
  queue: "billing",
  schema: z.object({}),
  attempts: 3,
  backoffMs: BILLING_BACKOFF_MS,
});
