import type { InvoiceSummary, listInvoicesInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, isNotNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { afterCursor, newestFirst, toPage } from "../../paging.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import { toSummary } from "./internal.ts";

/** An account's invoices and credit notes, newest first; periods without usage are left out. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listInvoices({
  ctx,
  input,
}: Verb<z.output<typeof listInvoicesInput>>): Promise<Page<InvoiceSummary>> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  const { invoices } = schema;
  const rows = await ctx.db
    .select()
    .from(invoices)
    .where(
      and(
        eq(invoices.billingAccountId, input.billingAccountId),
        isNotNull(invoices.number),
        afterCursor(invoices.createdAt, invoices.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(invoices.createdAt, invoices.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toSummary);
}
