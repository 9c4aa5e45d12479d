import type { OauthProvider } from "@tollgate/contracts";
import { customersSignedUp } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { conflict } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { isMailboxBanned } from "../customers/bans.ts";
import { ensureCustomer } from "../customers/ensureCustomer.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { actingAs, findCustomer } from "../customers/internal.ts";
import { openSession } from "../customers/sessions.ts";
import { establishCustomer } from "../onboarding/establishCustomer.ts";
import type { ProvenProfile, SignedInBy } from "./completeOauth.ts";
import { banned, findOwner, insertIdentity, openSessionBy, touchIdentity } from "./identities.ts";

/**
 * Whom an account at a provider signs in, inside a transaction: the customer it is linked to; or else the one whose address
 * it shows, if that address is verified here too; or else a new one. Somebody who typed an address and never proved it has
 * no claim to it: who proves it through a provider is the customer from then on. But if such a person could set a
 * password, they would share the account with its owner, so then nothing is linked.
 * @throws TollgateError FORBIDDEN `customer_banned`; CONFLICT `email_not_verified_here`, `provider_linked`
 */
export async function signInWith(
  ctx: ServiceContext,
  provider: OauthProvider,
  profile: ProvenProfile,
): Promise<SignedInBy> {
  const owner = await findOwner(ctx, provider, profile.subject);
  if (owner !== undefined) {
    await touchIdentity(ctx, provider, profile);
    return { session: await openSessionBy(ctx, provider, owner), isSignup: false };
  }
  const known = await findCustomer(ctx, { email: profile.email });
  if (known?.status === "banned") throw banned();
  if (known?.status === "verified") {
    const session = await openSessionBy(ctx, provider, known);
    await insertIdentity(actingAs(ctx, known, session.sessionId), provider, profile, known.id);
    return { session, isSignup: false };
  }
  return signUpWith(ctx, provider, profile);
}

async function signUpWith(ctx: ServiceContext, provider: OauthProvider, profile: ProvenProfile): Promise<SignedInBy> {
  if (await isMailboxBanned(ctx, profile.email)) throw banned();
  const name = profile.name
    ?.replaceAll(/\p{Cc}/gu, "")
    .trim()
    .slice(0, 100);
  const customer = await ensureCustomer(ctx, {
    email: profile.email,
    ...(name === undefined || name === "" ? {} : { name }),
  });
  await assertNoPassword(ctx, customer);
  const session = await openSession(ctx, customer);
  const acting = actingAs(ctx, customer, session.sessionId);
  const verified = await establishCustomer(acting, customer);
  await insertIdentity(acting, provider, profile, customer.id);
  await writeAudit(acting, {
    action: "oauth.complete",
    subject: customer.id,
    after: { provider, sessionId: session.sessionId, isSignup: true },
  });
  await appendEvent(acting, customersSignedUp, { customerId: customer.id, method: provider });
  return { session: { ...session, customer: verified }, isSignup: true };
}

async function assertNoPassword(ctx: ServiceContext, customer: CustomerRow): Promise<void> {
  const { passwords } = schema;
  const [password] = await ctx.db
    .select({ customerId: passwords.customerId })
    .from(passwords)
    .where(eq(passwords.customerId, customer.id));
  if (password === undefined) return;
  throw conflict("An account with this address has not been verified here: verify it by mail, then link the provider", {
    reason: "email_not_verified_here",
  });
}
