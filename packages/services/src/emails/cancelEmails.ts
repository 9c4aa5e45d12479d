import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";

/** Takes back every mail to an address that has not gone out, inside a transaction. @returns how many there were */
export async function cancelEmails(ctx: ServiceContext, recipient: string): Promise<number> {
  const { emails } = schema;
  const cancelled = await ctx.db
    .update(emails)
    .set({ status: "cancelled", data: {} })
    .where(and(eq(emails.recipient, recipient), eq(emails.status, "queued")))
    .returning({ id: emails.id });
  return cancelled.length;
}
