import type { Notification } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { SQL } from "drizzle-orm";
import { and, count, eq, exists, isNull, or, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";

export type NotificationRow = typeof schema.notifications.$inferSelect;
const { billingAccountAdmins, notifications, projectMembers, projects } = schema;

/** The notifications of a person about what they may still see: whoever has left a project no longer reads of it. */
export function visibleTo(ctx: ServiceContext, customerId: string): SQL | undefined {
  const one = { one: sql`1` };
  const isMember = ctx.db
    .select(one)
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .where(
      and(
        eq(projectMembers.projectId, notifications.projectId),
        eq(projectMembers.customerId, customerId),
        isNull(projects.deletedAt),
      ),
    );
  const isAdmin = ctx.db
    .select(one)
    .from(billingAccountAdmins)
    .where(
      and(
        eq(billingAccountAdmins.billingAccountId, notifications.billingAccountId),
        eq(billingAccountAdmins.customerId, customerId),
      ),
    );
  return and(
    eq(notifications.customerId, customerId),
    or(isNull(notifications.projectId), exists(isMember)),
    or(isNull(notifications.billingAccountId), exists(isAdmin)),
  );
}

export async function countUnread(ctx: ServiceContext, customerId: string): Promise<number> {
  const [row] = await ctx.db
    .select({ unread: count() })
    .from(notifications)
    .where(and(visibleTo(ctx, customerId), isNull(notifications.readAt)));
  return row?.unread ?? 0;
}

export function toNotification(row: NotificationRow): Notification {
  const { id, type, text, projectId, billingAccountId, apiId, createdAt, readAt } = row;
  return { id, type, text, projectId, billingAccountId, apiId, createdAt, readAt };
}
