import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { Addressee } from "../../notifications/audience.ts";
import { listResponsible } from "../../notifications/audience.ts";

const { billingAccounts } = schema;

/** A billing account and whom to write to about it. */
export interface AccountAudience {
  readonly name: string;
  readonly timeZone: string;
  readonly invoiceEmail: string | null;
  /** Its admins; nobody where all of them have gone. */
  readonly admins: readonly Addressee[];
}

export async function findAccountAudience(ctx: ServiceContext, billingAccountId: string): Promise<AccountAudience> {
  const [account] = await ctx.db.select().from(billingAccounts).where(eq(billingAccounts.id, billingAccountId));
  if (account === undefined) throw new Error(`The billing account ${billingAccountId} is not there`);
  const admins = await listResponsible(ctx, { projectId: null, billingAccountId });
  return { name: account.name, timeZone: account.timeZone, invoiceEmail: account.invoiceEmail, admins };
}

/** Who is written to about an account's invoices, each under a key: the address that it names for them, or its admins. */
export function invoiceRecipients({
  invoiceEmail,
  admins,
}: Pick<AccountAudience, "invoiceEmail" | "admins">): readonly { readonly to: string; readonly key: string }[] {
  return invoiceEmail === null
    ? admins.map(({ customerId, email }) => ({ to: email, key: customerId }))
    : [{ to: invoiceEmail, key: "invoices" }];
}
