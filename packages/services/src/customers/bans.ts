import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { hashMailbox } from "./mailbox.ts";

/** What callers of a banned customer's keys are told. */
export const BAN_MESSAGE = "The account that owns this key is banned";

/** The mailbox of a ban, as it is kept. */
export const banHash = (ctx: ServiceContext, email: string): string =>
  hashMailbox(ctx.settings.masterSecret, "customer_bans.mailbox", email);

/** Whether a ban stands against whoever reads an address, under whatever spelling and account. */
export async function isMailboxBanned(ctx: ServiceContext, email: string): Promise<boolean> {
  const { customerBans } = schema;
  const rows = await ctx.db
    .select({ customerId: customerBans.customerId })
    .from(customerBans)
    .where(eq(customerBans.mailboxHash, banHash(ctx, email)))
    .limit(1);
  return rows.length > 0;
}
