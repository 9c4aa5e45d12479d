import type { listDifferencesInput, Page, PaymentDifference } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { afterCursor, newestFirst, toPage } from "../../paging.ts";
import { requireAdmin } from "../../permissions.ts";

/** Where this deployment and Stripe disagreed, newest first. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listDifferences({
  ctx,
  input,
}: Verb<z.output<typeof listDifferencesInput>>): Promise<Page<PaymentDifference>> {
  requireAdmin(ctx);
  const { paymentDifferences } = schema;
  const rows = await ctx.db
    .select()
    .from(paymentDifferences)
    .where(afterCursor(paymentDifferences.createdAt, paymentDifferences.id, input.cursor))
    .orderBy(...newestFirst(paymentDifferences.createdAt, paymentDifferences.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, ({ subject: _, kind, ...row }) => ({
    ...row,
    kind: kind as PaymentDifference["kind"],
  }));
}
