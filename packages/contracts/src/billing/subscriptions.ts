import { z } from "zod";
import { defineEvent, defineJob } from "../definitions.ts";
import { idSchema, microsOutput } from "../primitives.ts";

/** How an account pays for its tier. */
export const subscriptionStatus = z.enum(["incomplete", "active", "past_due", "ended"]);
export type SubscriptionStatus = z.infer<typeof subscriptionStatus>;

/** Which tier a billing account pays for. */
export const tierSubscriptionDto = z.object({
  id: z.string(),
  billingAccountId: z.string(),
  /** `incomplete` until the first payment has come, `past_due` while a renewal is not paid. */
  status: subscriptionStatus,
  tierId: z.string(),
  /** The cheaper tier that begins with the next period; null when the tier stays. */
  pendingTierId: z.string().nullable(),
  /** It ends with the period. */
  isCancelling: z.boolean(),
  periodStart: z.date().nullable(),
  periodEnd: z.date().nullable(),
  createdAt: z.date(),
  endedAt: z.date().nullable(),
});
export type TierSubscription = z.infer<typeof tierSubscriptionDto>;

const tierIdInput = z
  .string()
  .trim()
  .min(1, { error: "Must not be empty" })
  .max(64)
  .meta({ examples: ["pro"] });
const cardOfAccount = z.string().regex(/^pm_[0-9A-Za-z]{8,64}$/, { error: "Must be an id of the form pm_…" });
export const tierChangeInput = z.object({ billingAccountId: idSchema("billingAccount"), tierId: tierIdInput });
export const subscribeTierInput = tierChangeInput.extend({
  /** The default card when not said. */
  cardId: cardOfAccount.optional(),
});
export const cancelSubscriptionInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  /** False ends it now; nothing is given back. */
  atPeriodEnd: z.boolean().default(true),
});
export const resumeSubscriptionInput = z.object({
  billingAccountId: idSchema("billingAccount"),
  /** Pays what is open, where a renewal was refused; the default card when not said. */
  cardId: cardOfAccount.optional(),
});

/** When a change of tier begins. */
export const tierChangeEffect = z.enum(["now", "at_period_end", "none"]);
export type TierChangeEffect = z.infer<typeof tierChangeEffect>;
export const tierChangePreviewDto = z.object({
  effect: tierChangeEffect,
  currency: z.string(),
  /** What is charged now. */
  dueNowMicros: microsOutput,
  /** What the rest of the present period is worth, which is taken off. */
  unusedMicros: microsOutput,
  /** The credit that comes with the payment. */
  creditMicros: microsOutput,
  /** When the next period begins, and what it costs. */
  nextPeriodStart: z.date().nullable(),
  nextPeriodMicros: microsOutput,
});
export type TierChangePreview = z.infer<typeof tierChangePreviewDto>;
export const tierChangeDto = z.object({
  effect: tierChangeEffect,
  subscription: tierSubscriptionDto.nullable(),
  /** Not null when the bank wants to ask the cardholder: Stripe's library asks, with this. */
  clientSecret: z.string().nullable(),
  /** A page of Stripe's that asks as well. */
  hostedUrl: z.string().nullable(),
});
export type TierChange = z.infer<typeof tierChangeDto>;

const subscriptionFact = z.object({ billingAccountId: z.string(), subscriptionId: z.string().nullable() });
export const billingSubscriptionChanged = defineEvent(
  "billing.subscriptionChanged",
  subscriptionFact.extend({
    status: subscriptionStatus,
    tierId: z.string(),
    pendingTierId: z.string().nullable(),
    isCancelling: z.boolean(),
    periodEnd: z.iso.datetime().nullable(),
  }),
);
/** Nobody paid: the account is on the free tier. */
export const billingSubscriptionLapsed = defineEvent(
  "billing.subscriptionLapsed",
  subscriptionFact.extend({
    /** The tier that it had. */
    tierId: z.string(),
  }),
);

/** Asks what a subscription is now. */
export const syncSubscriptionJob = defineJob({
  name: "billing.sync-subscription",
  queue: "billing",
  schema: z.object({ subscriptionId: z.string() }),
  attempts: 8,
  backoffMs: 2_000,
});
