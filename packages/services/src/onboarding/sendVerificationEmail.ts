import type { sendVerificationEmailInput, VerificationSent } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { and, eq, lte } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { isMailboxBanned } from "../customers/bans.ts";
import { ensureCustomer } from "../customers/ensureCustomer.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { generateCode, hashMailedSecret } from "./verificationCode.ts";

export const CODE_LIFETIME_MS = 5 * 60_000;
const RESEND_PAUSE_MS = 60_000;
/** Everybody who asks for one address meets at one row. */
const ATTEMPTS_MAX = 40;

const { passwords, verifications } = schema;

/**
 * Mails a code that proves an address, and makes the unverified customer if there is none. Whoever asks learns nothing of
 * the address: one that has an account gets a mail that says so, a banned one gets none, and the answer and the pause
 * before the next mail are the same for all. A new code replaces the one before.
 * @throws TollgateError TOO_MANY_REQUESTS `resend_too_soon`
 */
export async function sendVerificationEmail({
  ctx,
  input,
}: Verb<z.output<typeof sendVerificationEmailInput>>): Promise<VerificationSent> {
  const waitMs = await withTransaction(ctx, (ctx) => mailCode(ctx, input.email), { attemptsMax: ATTEMPTS_MAX });
  if (waitMs > 0) throw tooSoon(waitMs);
  return { expiresInSeconds: CODE_LIFETIME_MS / 1_000, resendAfterSeconds: RESEND_PAUSE_MS / 1_000 };
}

/** @returns milliseconds to wait if the last mail is too recent; 0 if one was queued now */
async function mailCode(ctx: ServiceContext, email: string): Promise<number> {
  const customer = await ensureCustomer(ctx, { email });
  const code = generateCode();
  const verificationId = await startVerification(ctx, customer, code);
  if (verificationId === undefined) return timeToWait(ctx, customer);
  await mail(ctx, customer, verificationId, code);
  await writeAudit(ctx, { action: "onboarding.sendVerificationEmail", subject: customer.id });
  return 0;
}

/** Puts the code in the one row of this person and address, unless that is younger than the pause. */
async function startVerification(
  ctx: ServiceContext,
  customer: CustomerRow,
  code: string,
): Promise<string | undefined> {
  const now = ctx.clock.now();
  const started = {
    id: newId("verification"),
    secretHash: hashMailedSecret(ctx.settings.masterSecret, "signup", customer.email, code),
    attempts: 0,
    createdAt: now,
    expiresAt: new Date(now.getTime() + CODE_LIFETIME_MS),
    consumedAt: null,
  };
  const [row] = await ctx.db
    .insert(verifications)
    .values({ ...started, purpose: "signup", email: customer.email, customerId: customer.id })
    .onConflictDoUpdate({
      target: [verifications.email, verifications.purpose, verifications.customerId],
      set: started,
      setWhere: lte(verifications.createdAt, new Date(now.getTime() - RESEND_PAUSE_MS)),
    })
    .returning({ id: verifications.id });
  return row?.id;
}

async function timeToWait(ctx: ServiceContext, customer: CustomerRow): Promise<number> {
  const [row] = await ctx.db
    .select({ createdAt: verifications.createdAt })
    .from(verifications)
    .where(
      and(
        eq(verifications.email, customer.email),
        eq(verifications.purpose, "signup"),
        eq(verifications.customerId, customer.id),
      ),
    );
  const startedAtMs = row?.createdAt.getTime() ?? ctx.clock.nowMs();
  return Math.max(1, startedAtMs + RESEND_PAUSE_MS - ctx.clock.nowMs());
}

async function mail(ctx: ServiceContext, customer: CustomerRow, verificationId: string, code: string): Promise<void> {
  const to = customer.email;
  const idempotencyKey = `verification:${verificationId}`;
  if (customer.status === "banned" || (await isMailboxBanned(ctx, to))) return;
  const [password] = await ctx.db
    .select({ customerId: passwords.customerId })
    .from(passwords)
    .where(eq(passwords.customerId, customer.id));
  if (password === undefined) {
    const data = { code, minutes: CODE_LIFETIME_MS / 60_000 };
    await queueEmail(ctx, { template: "verification", to, data, idempotencyKey });
  } else {
    await queueEmail(ctx, { template: "alreadyRegistered", to, data: {}, idempotencyKey });
  }
}

function tooSoon(waitMs: number): TollgateError {
  const retryAfterSeconds = Math.ceil(waitMs / 1_000);
  return new TollgateError(
    "TOO_MANY_REQUESTS",
    `A mail was sent a moment ago: ask again in ${retryAfterSeconds} s, if it does not arrive`,
    { reason: "resend_too_soon", retryAfterSeconds },
  );
}
