import type { PostalAddress } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Cadence } from "@tollgate/kernel";
import { and, asc, eq, inArray, max } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";

/** What closing a period is decided from. */
export interface AccountFacts {
  readonly id: string;
  readonly name: string;
  readonly address: PostalAddress | null;
  readonly taxId: string | null;
  readonly invoiceEmail: string | null;
  readonly timeZone: string;
  readonly periodAnchor: string | null;
  readonly cadence: Cadence;
  readonly createdAt: Date;
  readonly overage: "block" | "invoice";
  /** When it was last on a tier that lends, if it is on none now. */
  readonly lentAt: Date | null;
  /** Where the last closed period ended. */
  readonly lastEnd: Date | null;
}

export async function gatherAccounts(ctx: ServiceContext, ids: readonly string[]): Promise<AccountFacts[]> {
  const { billingAccounts, invoices, tiers } = schema;
  if (ids.length === 0) return [];
  const accounts = await ctx.db
    .select({ account: billingAccounts, overage: tiers.overage })
    .from(billingAccounts)
    .innerJoin(tiers, eq(tiers.id, billingAccounts.tierId))
    .where(inArray(billingAccounts.id, [...ids]))
    .orderBy(asc(billingAccounts.id));
  const ends = await ctx.db
    .select({ id: invoices.billingAccountId, end: max(invoices.periodEnd) })
    .from(invoices)
    .where(and(inArray(invoices.billingAccountId, [...ids]), eq(invoices.kind, "usage")))
    .groupBy(invoices.billingAccountId);
  const byAccount = new Map(ends.map((row) => [row.id, row.end]));
  return accounts.map(({ account, overage }) => ({ ...account, overage, lastEnd: byAccount.get(account.id) ?? null }));
}
