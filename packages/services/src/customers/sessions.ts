import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { SessionTokens } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { newId, randomBase62, unauthorized } from "@tollgate/kernel";
import { and, eq, isNull, ne } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "./internal.ts";
import type { TokenContext } from "./tokenIssuer.ts";

/**
 * Sessions and their refresh tokens. A refresh token is `tgr_<session>_<secret>_<seal>`: the secret is random and only its
 * hash is kept; the seal is a keyed hash that proves that this deployment issued the token for this session. So a token
 * that is sealed but is not the present one was spent before, however long ago, and somebody else may hold it.
 */
export const SESSION_LIFETIME_MS = 30 * 24 * 3_600_000;
const TOKEN = /^tgr_([0-9A-Za-z]{22})_([0-9A-Za-z]{32})_([0-9A-Za-z_-]{22})$/;
const SEAL_BYTES = 16;
const { sessions } = schema;

export interface RefreshToken {
  readonly text: string;
  readonly sessionId: string;
  /** What is kept of it. */
  readonly hash: string;
}

/** A new token for a session. */
export function makeRefreshToken(masterSecret: string, sessionId: string): RefreshToken {
  const suffix = sessionId.slice(sessionId.indexOf("_") + 1);
  const secret = randomBase62(32);
  const seal = sealOf(masterSecret, suffix, secret).toString("base64url");
  return { text: `tgr_${suffix}_${secret}_${seal}`, sessionId, hash: hashOf(secret) };
}

/** Reads a token that this deployment issued; undefined for anything else. */
export function parseRefreshToken(masterSecret: string, text: string): RefreshToken | undefined {
  const [, suffix, secret, seal] = TOKEN.exec(text) ?? [];
  if (suffix === undefined || secret === undefined || seal === undefined) return undefined;
  const given = Buffer.from(seal, "base64url");
  if (!timingSafeEqual(given, sealOf(masterSecret, suffix, secret))) return undefined;
  return { text, sessionId: `ses_${suffix}`, hash: hashOf(secret) };
}

const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");

function sealOf(masterSecret: string, suffix: string, secret: string): Buffer {
  const key = Buffer.from(hkdfSync("sha256", masterSecret, "tollgate", "sessions.refresh", 32));
  return createHmac("sha256", key).update(`${suffix}.${secret}`).digest().subarray(0, SEAL_BYTES);
}

/** A session that was opened in a transaction; its tokens are for after the commit. */
export interface OpenedSession {
  readonly customer: CustomerRow;
  readonly sessionId: string;
  readonly refreshToken: string;
}

/** Opens a session of a customer who has proven who they are, inside a transaction. */
export async function openSession(
  ctx: ServiceContext,
  customer: CustomerRow,
  token = makeRefreshToken(ctx.settings.masterSecret, newId("session")),
): Promise<OpenedSession> {
  const now = ctx.clock.now();
  await ctx.db.insert(sessions).values({
    id: token.sessionId,
    customerId: customer.id,
    refreshHash: token.hash,
    ...deviceOf(ctx),
    createdAt: now,
    lastUsedAt: now,
    expiresAt: new Date(now.getTime() + SESSION_LIFETIME_MS),
  });
  return { customer, sessionId: token.sessionId, refreshToken: token.text };
}

const USER_AGENT_CHARACTERS_MAX = 300;

/** What the owner of a session sees of the device that used it. */
export const deviceOf = (ctx: ServiceContext) => ({
  ip: ctx.ip ?? null,
  userAgent: ctx.userAgent?.slice(0, USER_AGENT_CHARACTERS_MAX) ?? null,
});

/** The tokens of a session that is open and committed. */
export async function issueTokens(ctx: TokenContext, session: OpenedSession): Promise<SessionTokens> {
  const { accessToken, expiresAt } = await ctx.tokenIssuer.issueAccessToken({
    customerId: session.customer.id,
    sessionId: session.sessionId,
    isOperator: session.customer.isOperator,
  });
  return { accessToken, refreshToken: session.refreshToken, expiresAt };
}

/** Ends a session, inside a transaction. @returns false if it was over before */
export async function endSession(ctx: ServiceContext, sessionId: string): Promise<boolean> {
  const ended = await ctx.db
    .update(sessions)
    .set({ revokedAt: ctx.clock.now() })
    .where(and(eq(sessions.id, sessionId), isNull(sessions.revokedAt)))
    .returning({ id: sessions.id });
  return ended.length > 0;
}

/** Ends every session of a customer, or every other one, inside a transaction. @returns the ids of those that were open */
export async function endAllSessions(ctx: ServiceContext, customerId: string, exceptId?: string): Promise<string[]> {
  const ended = await ctx.db
    .update(sessions)
    .set({ revokedAt: ctx.clock.now() })
    .where(
      and(
        eq(sessions.customerId, customerId),
        isNull(sessions.revokedAt),
        exceptId === undefined ? undefined : ne(sessions.id, exceptId),
      ),
    )
    .returning({ id: sessions.id });
  return ended.map((session) => session.id);
}

export function invalidRefreshToken(): TollgateError {
  return unauthorized("The refresh token is not valid: sign in again", { reason: "invalid_refresh_token" });
}
