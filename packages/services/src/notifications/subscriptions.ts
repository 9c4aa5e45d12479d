import type { Done, NotificationSubscription, subscriptionInput } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, asc, count, eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin, requireCustomer, requireMember } from "../permissions.ts";

const { apis, notificationSubscriptions: subscriptions } = schema;
type Input = z.output<typeof subscriptionInput>;

/** The caller hears of a project they are in, a billing account they manage, or a published API. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function subscribe({ ctx, input }: Verb<Input>): Promise<NotificationSubscription> {
  const { customerId } = requireCustomer(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      await requireVisible(ctx, input);
      const { resourceType, resourceId } = input;
      await ctx.db
        .insert(subscriptions)
        .values({ customerId, resourceType, resourceId, createdAt: ctx.clock.now() })
        .onConflictDoNothing();
      const [row] = await ctx.db.select().from(subscriptions).where(isSame(customerId, input));
      if (row === undefined) throw new Error("A subscription was written and is not there");
      return { resourceType: row.resourceType, resourceId: row.resourceId, createdAt: row.createdAt };
    },
    { isIdempotent: true },
  );
}

/** Ends a subscription of the caller; without one nothing happens. @throws TollgateError UNAUTHORIZED */
export async function unsubscribe({ ctx, input }: Verb<Input>): Promise<Done> {
  const { customerId } = requireCustomer(ctx);
  await ctx.db.delete(subscriptions).where(isSame(customerId, input));
  return { ok: true };
}

/** What the caller has subscribed to, the oldest first. @throws TollgateError UNAUTHORIZED */
export async function listSubscriptions({
  ctx,
}: {
  readonly ctx: ServiceContext;
}): Promise<{ items: NotificationSubscription[] }> {
  const { customerId } = requireCustomer(ctx);
  const { resourceType, resourceId, createdAt } = subscriptions;
  const items = await ctx.db
    .select({ resourceType, resourceId, createdAt })
    .from(subscriptions)
    .where(eq(subscriptions.customerId, customerId))
    .orderBy(asc(createdAt), asc(resourceId))
    .limit(1_000);
  return { items };
}

const isSame = (customerId: string, { resourceType, resourceId }: Input) =>
  and(
    eq(subscriptions.customerId, customerId),
    eq(subscriptions.resourceType, resourceType),
    eq(subscriptions.resourceId, resourceId),
  );

async function requireVisible(ctx: ServiceContext, { resourceType, resourceId }: Input): Promise<void> {
  switch (resourceType) {
    case "project":
      await requireMember(ctx, resourceId, ["viewer"]);
      return;
    case "billingAccount":
      await requireAccountAdmin(ctx, resourceId);
      return;
    case "api": {
      const [row] = await ctx.db
        .select({ found: count() })
        .from(apis)
        .where(and(eq(apis.id, resourceId), eq(apis.status, "published")));
      if ((row?.found ?? 0) === 0) throw notFound("api");
    }
  }
}
