import { retryRead, schema, withTransaction } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { AnalyticsSink } from "./sink.ts";

const { analyticsContacts, analyticsDeliveries } = schema;

/**
 * Makes every sink forget a person, and forgets what was told or was to be told of them. May run again: a sink does not
 * mind that there is nothing left. What waits goes first, so that nothing is told after the sinks have forgotten.
 * @throws Error when a sink is away, so that the erasure comes again
 */
export async function eraseAnalytics(
  ctx: ServiceContext,
  sinks: readonly AnalyticsSink[],
  { customerId, email }: { readonly customerId: string; readonly email: string | null },
): Promise<void> {
  const forgetDeliveries = () =>
    withTransaction(
      ctx,
      async ({ db }) => {
        await db.delete(analyticsDeliveries).where(eq(analyticsDeliveries.customerId, customerId));
      },
      { isIdempotent: true },
    );
  await forgetDeliveries();
  for (const sink of sinks) {
    const isTheirs = and(eq(analyticsContacts.customerId, customerId), eq(analyticsContacts.sink, sink.name));
    const [contact] = await retryRead(() => ctx.db.select().from(analyticsContacts).where(isTheirs));
    await sink.forget(ctx, { customerId, email, contactId: contact?.contactId ?? null });
    await withTransaction(
      ctx,
      async ({ db }) => {
        await db.delete(analyticsContacts).where(isTheirs);
      },
      { isIdempotent: true },
    );
  }
}
