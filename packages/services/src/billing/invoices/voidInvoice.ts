import type { Invoice, voidInvoiceInput } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, ZERO_MICROS } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { requireAdmin } from "../../permissions.ts";
import { announceInvoice, lockInvoice, toInvoice } from "./internal.ts";

/**
 * An operator declares an invoice void: it asks for nothing any more and keeps its number. What is paid is not voided but
 * corrected by a credit note. Again it changes nothing.
 * @throws TollgateError NOT_FOUND; CONFLICT `invoice_paid`, `invoice_of_subscription`; UNAUTHORIZED, FORBIDDEN
 */
export async function voidInvoice({ ctx, input }: Verb<z.output<typeof voidInvoiceInput>>): Promise<Invoice> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const row = await lockInvoice(ctx, input.invoiceId);
      if (row.status === "void") return toInvoice(ctx, row);
      if (row.kind === "subscription") {
        throw conflict("A subscription's invoice is kept by the payment provider: void it there", {
          reason: "invoice_of_subscription",
        });
      }
      if (row.status === "paid") {
        throw conflict("This invoice is paid: issue a credit note instead", { reason: "invoice_paid" });
      }
      const now = ctx.clock.now();
      const change = {
        status: "void" as const,
        dueMicros: ZERO_MICROS,
        reason: input.reason,
        voidedAt: now,
        updatedAt: now,
      };
      await ctx.db.update(schema.invoices).set(change).where(eq(schema.invoices.id, row.id));
      await writeAudit(ctx, {
        action: "billing.voidInvoice",
        subject: row.id,
        before: { status: row.status, dueMicros: row.dueMicros },
        after: { status: "void", reason: input.reason },
      });
      await announceInvoice(ctx, "voided", { ...row, ...change });
      return toInvoice(ctx, { ...row, ...change });
    },
    { isIdempotent: true },
  );
}
