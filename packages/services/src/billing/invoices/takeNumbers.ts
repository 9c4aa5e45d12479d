import { schema } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";

/** `INV` for invoices, `CN` for credit notes. */
export type Series = "INV" | "CN";
const DIGITS = 6;

/**
 * The next numbers of a series: sequential and without gaps, because they are taken in the transaction that uses them and
 * go back with it when it fails (docs/decisions: numbers of invoices).
 */
export async function takeNumbers(ctx: ServiceContext, series: Series, count: number): Promise<string[]> {
  if (!ctx.isInTransaction) throw new Error("Numbers are taken in the transaction that uses them");
  if (count === 0) return [];
  const { invoiceSeries } = schema;
  const [row] = await ctx.db
    .insert(invoiceSeries)
    .values({ series, lastNumber: BigInt(count) })
    .onConflictDoUpdate({
      target: invoiceSeries.series,
      set: { lastNumber: sql`${invoiceSeries.lastNumber} + ${count}::int8` },
    })
    .returning();
  if (row === undefined) throw new Error(`The series ${series} gave no number`);
  const first = row.lastNumber - BigInt(count) + 1n;
  return Array.from(
    { length: count },
    (_, index) => `${series}-${(first + BigInt(index)).toString().padStart(DIGITS, "0")}`,
  );
}
