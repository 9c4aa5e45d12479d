import type { markNotificationsInput, Unread } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { and, eq, inArray, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { countUnread } from "./internal.ts";

/** Marks the caller's notifications as read; ids of other people's change nothing. @throws TollgateError UNAUTHORIZED */
export async function markAsRead({ ctx, input }: Verb<z.output<typeof markNotificationsInput>>): Promise<Unread> {
  const { customerId } = requireCustomer(ctx);
  const { notifications } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .update(notifications)
        .set({ readAt: ctx.clock.now() })
        .where(
          and(
            eq(notifications.customerId, customerId),
            isNull(notifications.readAt),
            input.ids === undefined ? undefined : inArray(notifications.id, input.ids),
          ),
        );
      return { unread: await countUnread(ctx, customerId) };
    },
    { isIdempotent: true },
  );
}
