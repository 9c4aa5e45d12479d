import type { sendVerificationEmailInput, VerificationSent } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { isMailboxBanned } from "../customers/bans.ts";
import { ensureCustomer } from "../customers/ensureCustomer.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import type { StartedVerification } from "./startVerification.ts";
import { RESEND_PAUSE_MS, resendTooSoon, startVerification } from "./startVerification.ts";
import { generateCode } from "./verificationCode.ts";

export const CODE_LIFETIME_MS = 5 * 60_000;
/** Everybody who asks for one address meets at one row. */
const ATTEMPTS_MAX = 40;

const { passwords } = schema;

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
  const started = await withTransaction(ctx, (ctx) => mailCode(ctx, input.email), { attemptsMax: ATTEMPTS_MAX });
  if (started.kind === "tooSoon") throw resendTooSoon(started.waitMs);
  return { expiresInSeconds: CODE_LIFETIME_MS / 1_000, resendAfterSeconds: RESEND_PAUSE_MS / 1_000 };
}

async function mailCode(ctx: ServiceContext, email: string): Promise<StartedVerification> {
  const customer = await ensureCustomer(ctx, { email });
  const code = generateCode();
  const started = await startVerification(ctx, {
    purpose: "signup",
    email: customer.email,
    customerId: customer.id,
    secret: code,
    lifetimeMs: CODE_LIFETIME_MS,
  });
  if (started.kind === "tooSoon") return started;
  await mail(ctx, customer, started.id, code);
  await writeAudit(ctx, { action: "onboarding.sendVerificationEmail", subject: customer.id });
  return started;
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
