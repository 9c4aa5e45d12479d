import type { listPaymentsInput, Page, Payment } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { toPayment } from "./internal.ts";

/** The account's payments, newest first. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listPayments({ ctx, input }: Verb<z.output<typeof listPaymentsInput>>): Promise<Page<Payment>> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  const { payments } = schema;
  const rows = await ctx.db
    .select()
    .from(payments)
    .where(
      and(
        eq(payments.billingAccountId, input.billingAccountId),
        input.status === undefined ? undefined : eq(payments.status, input.status),
        afterCursor(payments.createdAt, payments.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(payments.createdAt, payments.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toPayment);
}
