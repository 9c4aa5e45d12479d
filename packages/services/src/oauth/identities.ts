import type { OauthProvider } from "@tollgate/contracts";
import { customersLoggedIn, oauthLinked } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { conflict, forbidden } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { actingAs } from "../customers/internal.ts";
import type { OpenedSession } from "../customers/sessions.ts";
import { openSession } from "../customers/sessions.ts";
import type { ProvenProfile } from "./completeOauth.ts";

const { customers, oauthIdentities } = schema;
export type IdentityRow = typeof oauthIdentities.$inferSelect;

/** The customer who signs in with an account at a provider. One who was deleted has given it up. */
export async function findOwner(
  ctx: ServiceContext,
  provider: OauthProvider,
  subject: string,
): Promise<CustomerRow | undefined> {
  const isThisAccount = and(eq(oauthIdentities.provider, provider), eq(oauthIdentities.subject, subject));
  const [row] = await ctx.db
    .select({ customer: customers })
    .from(oauthIdentities)
    .innerJoin(customers, eq(customers.id, oauthIdentities.customerId))
    .where(isThisAccount);
  if (row === undefined || row.customer.deletedAt === null) return row?.customer;
  await ctx.db.delete(oauthIdentities).where(isThisAccount);
  return undefined;
}

/**
 * Makes an account at a provider a way to sign in, inside a transaction.
 * @throws TollgateError CONFLICT `provider_linked` when the customer has another account of this provider
 */
export async function insertIdentity(
  ctx: ServiceContext,
  provider: OauthProvider,
  profile: ProvenProfile,
  customerId: string,
): Promise<void> {
  const [other] = await ctx.db
    .select({ subject: oauthIdentities.subject })
    .from(oauthIdentities)
    .where(and(eq(oauthIdentities.customerId, customerId), eq(oauthIdentities.provider, provider)));
  if (other !== undefined) {
    throw conflict("Another account of this provider is linked: sign in with that one, or unlink it first", {
      reason: "provider_linked",
    });
  }
  const now = ctx.clock.now();
  const linked = await ctx.db
    .insert(oauthIdentities)
    .values({ provider, subject: profile.subject, customerId, email: profile.email, createdAt: now, lastUsedAt: now })
    .onConflictDoNothing()
    .returning({ customerId: oauthIdentities.customerId });
  if (linked.length === 0) throw identityTaken();
  await writeAudit(ctx, { action: "oauth.link", subject: customerId, after: { provider } });
  await appendEvent(ctx, oauthLinked, { customerId, provider });
}

/** Notes that an account was used, and the address that it has now. */
export async function touchIdentity(
  ctx: ServiceContext,
  provider: OauthProvider,
  profile: ProvenProfile,
): Promise<void> {
  await ctx.db
    .update(oauthIdentities)
    .set({ email: profile.email, lastUsedAt: ctx.clock.now() })
    .where(and(eq(oauthIdentities.provider, provider), eq(oauthIdentities.subject, profile.subject)));
}

/** Signs a customer in who is in good standing. @throws TollgateError FORBIDDEN `customer_banned` */
export async function openSessionBy(
  ctx: ServiceContext,
  provider: OauthProvider,
  customer: CustomerRow,
): Promise<OpenedSession> {
  if (customer.status === "banned") throw banned();
  const session = await openSession(ctx, customer);
  const { sessionId } = session;
  const acting = actingAs(ctx, customer, sessionId);
  await writeAudit(acting, { action: "oauth.complete", subject: customer.id, after: { provider, sessionId } });
  await appendEvent(acting, customersLoggedIn, { customerId: customer.id, sessionId, method: provider });
  return session;
}

export function identityTaken(): TollgateError {
  return conflict("Another customer signs in with this account", { reason: "identity_taken" });
}

export function banned(): TollgateError {
  return forbidden("This account is banned", { reason: "customer_banned" });
}
