import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

/** What a person was told in the product, and what they wanted to hear of. */
export async function eraseNotifications(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { notifications, notificationSubscriptions } = schema;
  const erased = await ctx.db
    .delete(notifications)
    .where(eq(notifications.customerId, customer.id))
    .returning({ id: notifications.id });
  await ctx.db.delete(notificationSubscriptions).where(eq(notificationSubscriptions.customerId, customer.id));
  return { notifications: erased.length };
}
