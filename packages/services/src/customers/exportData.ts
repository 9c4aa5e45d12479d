import type { ExportOrder } from "@tollgate/contracts";
import { exportCustomerJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction, writeAudit } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { and, desc, eq, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { EXPORT_LIFETIME_MS } from "./exportTokens.ts";

/** The least time between two copies: putting one together reads everything. */
const PAUSE_MS = 3_600_000;
const { customerExports } = schema;

/**
 * Orders a copy of everything that is held about the caller. A job puts it together, and a mail brings the link. While
 * one is on its way, ordering again answers that one.
 * @throws TollgateError UNAUTHORIZED; TOO_MANY_REQUESTS `export_too_soon`
 */
export async function exportData({ ctx }: { readonly ctx: ServiceContext }): Promise<ExportOrder> {
  const { customerId } = requireCustomer(ctx);
  return withTransaction(ctx, (ctx) => order(ctx, customerId), { isIdempotent: true });
}

async function order(ctx: ServiceContext, customerId: string): Promise<ExportOrder> {
  const now = ctx.clock.now();
  const [latest] = await ctx.db
    .select()
    .from(customerExports)
    .where(eq(customerExports.customerId, customerId))
    .orderBy(desc(customerExports.createdAt))
    .limit(1);
  if (latest?.status === "queued") return toOrder(latest);
  const waitMs = latest === undefined ? 0 : latest.createdAt.getTime() + PAUSE_MS - now.getTime();
  if (waitMs > 0) throw tooSoon(waitMs);
  const [inserted] = await ctx.db
    .insert(customerExports)
    .values({
      id: newId("export"),
      customerId,
      status: "queued",
      createdAt: now,
      expiresAt: new Date(now.getTime() + EXPORT_LIFETIME_MS),
    })
    .onConflictDoNothing({ target: customerExports.customerId, where: sql`status = 'queued'` })
    .returning();
  if (inserted === undefined) return toOrder(await requireQueued(ctx, customerId));
  await appendJob(ctx, exportCustomerJob, { exportId: inserted.id });
  await writeAudit(ctx, { action: "customers.exportData", subject: customerId, after: { exportId: inserted.id } });
  return toOrder(inserted);
}

async function requireQueued(ctx: ServiceContext, customerId: string): Promise<typeof customerExports.$inferSelect> {
  const [row] = await ctx.db
    .select()
    .from(customerExports)
    .where(and(eq(customerExports.customerId, customerId), eq(customerExports.status, "queued")));
  if (row === undefined) throw new Error("An export that stood in the way cannot be found");
  return row;
}

const toOrder = (row: typeof customerExports.$inferSelect): ExportOrder => ({
  id: row.id,
  status: row.status,
  createdAt: row.createdAt,
});

function tooSoon(waitMs: number): TollgateError {
  return new TollgateError("TOO_MANY_REQUESTS", "A copy was made within the last hour: its link is in your mail", {
    reason: "export_too_soon",
    retryAfterSeconds: Math.ceil(waitMs / 1_000),
  });
}
