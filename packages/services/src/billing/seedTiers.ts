import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { microsFromCents, ZERO_MICROS } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";

/** The tier of an account that pays for none. */
export const FREE_TIER_ID = "free";

/**
 * The plans that every deployment starts with. Nothing here lets a wallet go below zero: a credit limit is money lent, so
 * the operator who wants `overage: invoice` to lend some sets it on the tier.
 */
export const TIER_SEEDS = [
  {
    id: FREE_TIER_ID,
    displayName: "Free",
    rank: 0,
    monthlyPriceMicros: ZERO_MICROS,
    freeCallsPerMonth: 10_000,
    rateLimitPerSecond: 10,
    overage: "block",
    creditLimitMicros: ZERO_MICROS,
    rollsOver: false,
  },
  {
    id: "solo",
    displayName: "Solo",
    rank: 1,
    monthlyPriceMicros: microsFromCents(10_00n),
    freeCallsPerMonth: 100_000,
    rateLimitPerSecond: 100,
    overage: "block",
    creditLimitMicros: ZERO_MICROS,
    rollsOver: false,
  },
  {
    id: "pro",
    displayName: "Pro",
    rank: 2,
    monthlyPriceMicros: microsFromCents(49_00n),
    freeCallsPerMonth: 1_000_000,
    rateLimitPerSecond: 1_000,
    overage: "block",
    creditLimitMicros: ZERO_MICROS,
    rollsOver: false,
  },
  {
    id: "business",
    displayName: "Business",
    rank: 3,
    monthlyPriceMicros: microsFromCents(299_00n),
    freeCallsPerMonth: 10_000_000,
    rateLimitPerSecond: 10_000,
    overage: "invoice",
    creditLimitMicros: ZERO_MICROS,
    rollsOver: true,
  },
] as const satisfies readonly (typeof schema.tiers.$inferInsert)[];

/**
 * Puts the plans there that are missing. Those that are there stay as the operator made them, so this runs at every start.
 * @throws TollgateError FORBIDDEN for anyone but an operator or a service
 */
export async function seedTiers({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly added: string[] }> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const rows = await ctx.db
        .insert(schema.tiers)
        .values([...TIER_SEEDS])
        .onConflictDoNothing()
        .returning({ id: schema.tiers.id });
      const added = rows.map((row) => row.id);
      for (const id of added) await writeAudit(ctx, { action: "billing.seedTiers", subject: id });
      return { added };
    },
    { isIdempotent: true },
  );
}
