import type { listNotificationsInput, NotificationPage } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireCustomer } from "../permissions.ts";
import { countUnread, toNotification, visibleTo } from "./internal.ts";

/** The caller's notifications, newest first, and how many are unread. @throws TollgateError UNAUTHORIZED */
export async function listNotifications({
  ctx,
  input,
}: Verb<z.output<typeof listNotificationsInput>>): Promise<NotificationPage> {
  const { customerId } = requireCustomer(ctx);
  const { notifications } = schema;
  const rows = await ctx.db
    .select()
    .from(notifications)
    .where(
      and(
        visibleTo(ctx, customerId),
        input.isUnreadOnly ? isNull(notifications.readAt) : undefined,
        afterCursor(notifications.createdAt, notifications.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(notifications.createdAt, notifications.id))
    .limit(input.limit + 1);
  return { ...toPage(rows, input.limit, toNotification), unread: await countUnread(ctx, customerId) };
}
