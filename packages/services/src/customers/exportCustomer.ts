import type { exportCustomerJob } from "@tollgate/contracts";
import { customersDataExported } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { seal } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { requireService } from "../permissions.ts";
import { collectPersonalData } from "./collectPersonalData.ts";
import { EXPORT_LIFETIME_MS, EXPORT_SEAL_PURPOSE, hashExportToken, makeExportToken } from "./exportTokens.ts";
import { findCustomer } from "./internal.ts";

const { customerExports } = schema;

/**
 * Puts together what is held about one customer, as of one instant, and mails the link; the work of one
 * `customers.export` job. Everything is one transaction, so a job that is cut is as if it had not run, and one that runs
 * twice makes one copy and one mail. For a customer who is gone by now there is nothing to do.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function exportCustomer({
  ctx,
  input,
}: Verb<z.output<typeof exportCustomerJob.schema>>): Promise<{ readonly isReady: boolean }> {
  requireService(ctx);
  const token = makeExportToken();
  return withTransaction(
    ctx,
    async (ctx) => {
      const [order] = await ctx.db.select().from(customerExports).where(eq(customerExports.id, input.exportId));
      if (order?.status !== "queued") return { isReady: order !== undefined };
      const customer = await findCustomer(ctx, { id: order.customerId });
      if (customer?.status !== "verified") {
        await ctx.db.delete(customerExports).where(eq(customerExports.id, order.id));
        return { isReady: false };
      }
      const body = JSON.stringify(await collectPersonalData(ctx, customer), writeJson, 2);
      const expiresAt = new Date(ctx.clock.nowMs() + EXPORT_LIFETIME_MS);
      await ctx.db
        .update(customerExports)
        .set({
          status: "ready",
          tokenHash: hashExportToken(token),
          body: seal(ctx.settings.masterSecret, EXPORT_SEAL_PURPOSE, body),
          expiresAt,
        })
        .where(eq(customerExports.id, order.id));
      await queueEmail(ctx, {
        template: "exportReady",
        to: customer.email,
        data: {
          downloadUrl: `${ctx.settings.publicApiUrl}/exports/${token}`,
          hours: EXPORT_LIFETIME_MS / 3_600_000,
        },
        idempotencyKey: `export:${order.id}`,
      });
      await writeAudit(ctx, { action: "customers.export", subject: customer.id, after: { exportId: order.id } });
      await appendEvent(ctx, customersDataExported, { customerId: customer.id });
      return { isReady: true };
    },
    { isIdempotent: true },
  );
}

/** Amounts are decimal strings, as everywhere. */
const writeJson = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);
