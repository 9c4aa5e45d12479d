import type { refreshInput, SessionTokens } from "@tollgate/contracts";
import { customersTokenRefreshed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, gt, isNull } from "drizzle-orm";
import type { z } from "zod";
import { actingAs } from "./internal.ts";
import type { OpenedSession, RefreshToken } from "./sessions.ts";
import {
  deviceOf,
  endSession,
  invalidRefreshToken,
  issueTokens,
  makeRefreshToken,
  parseRefreshToken,
  SESSION_LIFETIME_MS,
} from "./sessions.ts";
import type { TokenContext } from "./tokenIssuer.ts";

const { customers, sessions } = schema;
type SessionRow = typeof sessions.$inferSelect;

/**
 * New tokens for a refresh token, which is spent by it. A spent one that comes back ends the session: either its owner or
 * somebody who copied it is using it, and nobody can tell which.
 * @throws TollgateError UNAUTHORIZED `invalid_refresh_token`
 */
export async function refreshSession({
  ctx,
  input,
}: {
  readonly ctx: TokenContext;
  readonly input: z.output<typeof refreshInput>;
}): Promise<SessionTokens> {
  const spent = parseRefreshToken(ctx.settings.masterSecret, input.refreshToken);
  if (spent === undefined) throw invalidRefreshToken();
  // Made before the transaction, so that running it again recognises its own commit.
  const next = makeRefreshToken(ctx.settings.masterSecret, spent.sessionId);
  const session = await withTransaction(ctx, (ctx) => rotate(ctx, spent, next), { isIdempotent: true });
  if (session === undefined) throw invalidRefreshToken();
  return issueTokens(ctx, session);
}

/** The session under its next token; undefined, with the session ended where it must be, if there is none to be had. */
async function rotate(ctx: TokenContext, spent: RefreshToken, next: RefreshToken): Promise<OpenedSession | undefined> {
  const now = ctx.clock.now();
  const [rotated] = await ctx.db
    .update(sessions)
    .set({
      refreshHash: next.hash,
      ...deviceOf(ctx),
      lastUsedAt: now,
      expiresAt: new Date(now.getTime() + SESSION_LIFETIME_MS),
    })
    .where(
      and(
        eq(sessions.id, spent.sessionId),
        eq(sessions.refreshHash, spent.hash),
        isNull(sessions.revokedAt),
        gt(sessions.expiresAt, now),
      ),
    )
    .returning();
  if (rotated === undefined) return settleUnmatched(ctx, spent, next);
  const [customer] = await ctx.db.select().from(customers).where(eq(customers.id, rotated.customerId));
  if (customer?.status !== "verified") {
    await endSession(ctx, rotated.id);
    return undefined;
  }
  const acting = actingAs(ctx, customer, rotated.id);
  await writeAudit(acting, { action: "customers.refresh", subject: customer.id, after: { sessionId: rotated.id } });
  await appendEvent(acting, customersTokenRefreshed, { customerId: customer.id, sessionId: rotated.id });
  return { customer, sessionId: rotated.id, refreshToken: next.text };
}

async function settleUnmatched(
  ctx: TokenContext,
  spent: RefreshToken,
  next: RefreshToken,
): Promise<OpenedSession | undefined> {
  const [session] = await ctx.db.select().from(sessions).where(eq(sessions.id, spent.sessionId));
  if (session === undefined || session.revokedAt !== null) return undefined;
  if (session.refreshHash === next.hash) return findOwn(ctx, session, next);
  const wasReused = session.refreshHash !== spent.hash;
  if (wasReused && (await endSession(ctx, session.id))) {
    await writeAudit(ctx, {
      action: "customers.refresh",
      subject: session.customerId,
      after: { sessionId: session.id, revoked: "a spent refresh token was used again" },
    });
  }
  return undefined;
}

/** The rotation had been committed and only the answer to COMMIT was lost. */
async function findOwn(ctx: TokenContext, session: SessionRow, next: RefreshToken): Promise<OpenedSession | undefined> {
  const [customer] = await ctx.db.select().from(customers).where(eq(customers.id, session.customerId));
  return customer && { customer, sessionId: session.id, refreshToken: next.text };
}
