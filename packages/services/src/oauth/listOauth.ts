import type { OauthIdentityList } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { asc, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import type { IdentityRow } from "./identities.ts";

const { oauthIdentities, passwords } = schema;

/** The providers that the caller signs in with. @throws TollgateError UNAUTHORIZED */
export async function listOauth({ ctx }: { readonly ctx: ServiceContext }): Promise<OauthIdentityList> {
  const { customerId } = requireCustomer(ctx);
  const { identities, hasPassword } = await readWaysIn(ctx, customerId);
  return {
    items: identities.map(({ provider, email, createdAt, lastUsedAt }) => ({ provider, email, createdAt, lastUsedAt })),
    hasPassword,
  };
}

/** Everything that a customer can sign in with. */
export async function readWaysIn(
  ctx: ServiceContext,
  customerId: string,
): Promise<{ readonly identities: readonly IdentityRow[]; readonly hasPassword: boolean }> {
  const identities = await ctx.db
    .select()
    .from(oauthIdentities)
    .where(eq(oauthIdentities.customerId, customerId))
    .orderBy(asc(oauthIdentities.createdAt), asc(oauthIdentities.provider));
  const found = await ctx.db
    .select({ customerId: passwords.customerId })
    .from(passwords)
    .where(eq(passwords.customerId, customerId));
  return { identities, hasPassword: found.length > 0 };
}
