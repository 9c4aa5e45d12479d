import type { Payment, paymentIdInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound, TollgateError, unauthorized } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin } from "../permissions.ts";
import type { PaymentRow } from "./internal.ts";
import { toPayment } from "./internal.ts";

/** One payment, for those who administer its account and for operators. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function getPayment({ ctx, input }: Verb<z.output<typeof paymentIdInput>>): Promise<Payment> {
  return toPayment(await requirePayment(ctx, input.id));
}

/** A payment that the caller may see. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function requirePayment(ctx: ServiceContext, id: string): Promise<PaymentRow> {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  const { payments } = schema;
  const [row] = await ctx.db.select().from(payments).where(eq(payments.id, id));
  if (row === undefined) throw notFound("payment");
  try {
    await requireAccountAdmin(ctx, row.billingAccountId, { orAdmin: true });
  } catch (error) {
    throw error instanceof TollgateError && error.code === "NOT_FOUND" ? notFound("payment") : error;
  }
  return row;
}
