import { schema } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { and, eq, lte } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { hashMailedSecret } from "./verificationCode.ts";

/** The least time between two mails of a kind to one address, over all processes. */
export const RESEND_PAUSE_MS = 60_000;
const { verifications } = schema;

export interface NewVerification {
  readonly purpose: (typeof schema.VERIFICATION_PURPOSES)[number];
  readonly email: string;
  /** Empty where nobody has the address: such a row is there for its pause alone. */
  readonly customerId: string;
  /** What is mailed. Only its hash is kept. */
  readonly secret: string;
  readonly lifetimeMs: number;
  readonly id?: string;
}

export type StartedVerification =
  | { readonly kind: "started"; readonly id: string }
  | { readonly kind: "tooSoon"; readonly waitMs: number };

/** Puts a secret in the one row of its purpose, person and address, unless that is younger than the pause; in a transaction. */
export async function startVerification(
  ctx: ServiceContext,
  verification: NewVerification,
): Promise<StartedVerification> {
  const { purpose, email, customerId } = verification;
  const now = ctx.clock.now();
  const started = {
    id: verification.id ?? newId("verification"),
    secretHash: hashMailedSecret(ctx.settings.masterSecret, purpose, email, verification.secret),
    attempts: 0,
    createdAt: now,
    expiresAt: new Date(now.getTime() + verification.lifetimeMs),
    consumedAt: null,
  };
  const [row] = await ctx.db
    .insert(verifications)
    .values({ ...started, purpose, email, customerId })
    .onConflictDoUpdate({
      target: [verifications.email, verifications.purpose, verifications.customerId],
      set: started,
      setWhere: lte(verifications.createdAt, new Date(now.getTime() - RESEND_PAUSE_MS)),
    })
    .returning({ id: verifications.id });
  if (row !== undefined) return { kind: "started", id: row.id };
  const [present] = await ctx.db
    .select({ createdAt: verifications.createdAt })
    .from(verifications)
    .where(
      and(eq(verifications.email, email), eq(verifications.purpose, purpose), eq(verifications.customerId, customerId)),
    );
  const startedAtMs = present?.createdAt.getTime() ?? now.getTime();
  return { kind: "tooSoon", waitMs: Math.max(1, startedAtMs + RESEND_PAUSE_MS - now.getTime()) };
}

export function resendTooSoon(waitMs: number): TollgateError {
  const retryAfterSeconds = Math.ceil(waitMs / 1_000);
  return new TollgateError(
    "TOO_MANY_REQUESTS",
    `A mail was sent a moment ago: ask again in ${retryAfterSeconds} s, if it does not arrive`,
    { reason: "resend_too_soon", retryAfterSeconds },
  );
}
