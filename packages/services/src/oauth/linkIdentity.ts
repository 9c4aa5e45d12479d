import type { OauthProvider } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { actingAs } from "../customers/internal.ts";
import type { ProvenProfile, SignedInBy } from "./completeOauth.ts";
import { banned, findOwner, identityTaken, insertIdentity, openSessionBy, touchIdentity } from "./identities.ts";

/**
 * Links an account at a provider to the customer who asked for it, inside a transaction. Doing it again changes nothing.
 * @throws TollgateError CONFLICT `identity_taken` by another customer, `provider_linked`; NOT_FOUND; FORBIDDEN
 */
export async function linkIdentity(
  ctx: ServiceContext,
  provider: OauthProvider,
  profile: ProvenProfile,
  customerId: string,
): Promise<SignedInBy> {
  const { customers } = schema;
  const [customer] = await ctx.db.select().from(customers).where(eq(customers.id, customerId));
  if (customer === undefined || customer.deletedAt !== null) throw notFound("customer");
  if (customer.status === "banned") throw banned();
  const owner = await findOwner(ctx, provider, profile.subject);
  if (owner !== undefined && owner.id !== customerId) throw identityTaken();
  const session = await openSessionBy(ctx, provider, customer);
  if (owner === undefined) {
    await insertIdentity(actingAs(ctx, customer, session.sessionId), provider, profile, customerId);
  } else {
    await touchIdentity(ctx, provider, profile);
  }
  return { session, isSignup: false };
}
