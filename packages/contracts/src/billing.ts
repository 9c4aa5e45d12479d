import { z } from "zod";
import { idSchema, microsOutput } from "./primitives.ts";

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

export const billingAccountDto = z.object({
  id: z.string(),
  name: z.string(),
  timeZone: z.string(),
  tier: tierDto,
  admins: z.array(z.object({ customerId: z.string(), email: z.string(), name: z.string().nullable() })),
  createdAt: z.date(),
});
export type BillingAccount = z.infer<typeof billingAccountDto>;

export const readAccountInput = z.object({ billingAccountId: idSchema("billingAccount") });
