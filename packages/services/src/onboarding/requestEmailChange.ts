import type { requestEmailChangeInput, VerificationSent } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import { badRequest, unauthorized } from "@tollgate/kernel";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { isMailboxBanned } from "../customers/bans.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { findCustomer } from "../customers/internal.ts";
import type { ThrottlePolicy } from "../customers/throttle.ts";
import { countFailure, throttleId, tooManyAttempts, waitMs } from "../customers/throttle.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { requireCustomer } from "../permissions.ts";
import { RESEND_PAUSE_MS, resendTooSoon, startVerification } from "./startVerification.ts";
import { generateCode } from "./verificationCode.ts";

const CODE_LIFETIME_MS = 15 * 60_000;
/** Nobody moves often; whoever asks often is mailing strangers. */
const PER_CUSTOMER: ThrottlePolicy = {
  attemptsFree: 5,
  delayMsMin: 60_000,
  delayMsMax: 3_600_000,
  forgetAfterMs: 24 * 3_600_000,
};

type Outcome = { readonly kind: "sent" } | { readonly kind: "tooSoon" | "blocked"; readonly waitMs: number };

/**
 * Mails a code to the address that the caller's account is to have, and a notice to the one that it has. An address that
 * has an account already is told so, and the caller is not.
 * @throws TollgateError UNAUTHORIZED; BAD_REQUEST `same_email`; TOO_MANY_REQUESTS `resend_too_soon`, `too_many_attempts`
 */
export async function requestEmailChange({
  ctx,
  input,
}: Verb<z.output<typeof requestEmailChangeInput>>): Promise<VerificationSent> {
  const { customerId } = requireCustomer(ctx);
  const outcome = await withTransaction(ctx, async (ctx) => {
    const customer = await findCustomer(ctx, { id: customerId });
    if (customer?.status !== "verified") throw unauthorized("The account is gone");
    if (customer.email === input.email) throw sameEmail();
    return mailCode(ctx, customer, input.email);
  });
  switch (outcome.kind) {
    case "sent":
      return { expiresInSeconds: CODE_LIFETIME_MS / 1_000, resendAfterSeconds: RESEND_PAUSE_MS / 1_000 };
    case "tooSoon":
      throw resendTooSoon(outcome.waitMs);
    case "blocked":
      throw tooManyAttempts(outcome.waitMs);
  }
}

async function mailCode(ctx: ServiceContext, customer: CustomerRow, email: string): Promise<Outcome> {
  const throttle = throttleId("email_change", customer.id);
  const waitForMs = await waitMs(ctx, throttle);
  if (waitForMs > 0) return { kind: "blocked", waitMs: waitForMs };
  const code = generateCode();
  const started = await startVerification(ctx, {
    purpose: "email_change",
    email,
    customerId: customer.id,
    secret: code,
    lifetimeMs: CODE_LIFETIME_MS,
  });
  if (started.kind === "tooSoon") return started;
  await countFailure(ctx, throttle, PER_CUSTOMER);
  await mailNewAddress(ctx, email, code, started.id);
  await queueEmail(ctx, {
    template: "emailChangeNotice",
    to: customer.email,
    data: { newEmail: email, hasHappened: false, recoverUrl: `${ctx.settings.publicWebUrl}/recover` },
    idempotencyKey: `email-change-notice:${started.id}`,
  });
  await writeAudit(ctx, { action: "onboarding.requestEmailChange", subject: customer.id, after: { email } });
  return { kind: "sent" };
}

async function mailNewAddress(ctx: ServiceContext, to: string, code: string, verificationId: string): Promise<void> {
  const idempotencyKey = `email-change:${verificationId}`;
  if (await isMailboxBanned(ctx, to)) return;
  const holder = await findCustomer(ctx, { email: to });
  // Somebody who began to sign up and never proved the address does not have it.
  if (holder === undefined || holder.status === "unverified") {
    const data = { code, minutes: CODE_LIFETIME_MS / 60_000 };
    await queueEmail(ctx, { template: "emailChange", to, data, idempotencyKey });
  } else {
    await queueEmail(ctx, { template: "emailInUse", to, data: {}, idempotencyKey });
  }
}

function sameEmail() {
  const message = "Is the address of your account already";
  return badRequest(`email: ${message}`, { reason: "same_email", issues: [{ path: "email", message }] });
}
