import type { recoverInput, VerificationSent } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { findCustomer } from "../customers/internal.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { makeRecoveryToken } from "./recoveryToken.ts";
import type { StartedVerification } from "./startVerification.ts";
import { RESEND_PAUSE_MS, resendTooSoon, startVerification } from "./startVerification.ts";

export const RECOVERY_LIFETIME_MS = 10 * 60_000;
/** Everybody who asks for one address meets at one row. */
const ATTEMPTS_MAX = 40;

/**
 * Mails a link to choose a new password. For an address that has no account, the same statements are run, down to a mail
 * that is cancelled from the start, so neither the answer nor the time it takes, nor the pause before the next one, says
 * whether there is one. @throws TollgateError TOO_MANY_REQUESTS `resend_too_soon`
 */
export async function recover({ ctx, input }: Verb<z.output<typeof recoverInput>>): Promise<VerificationSent> {
  const started = await withTransaction(ctx, (ctx) => mailLink(ctx, input.email), { attemptsMax: ATTEMPTS_MAX });
  if (started.kind === "tooSoon") throw resendTooSoon(started.waitMs);
  return { expiresInSeconds: RECOVERY_LIFETIME_MS / 1_000, resendAfterSeconds: RESEND_PAUSE_MS / 1_000 };
}

async function mailLink(ctx: ServiceContext, email: string): Promise<StartedVerification> {
  const customer = await findCustomer(ctx, { email });
  // Who never finished signing up, or was banned, has no account to recover.
  const hasAccount = customer?.status === "verified";
  const token = makeRecoveryToken();
  const started = await startVerification(ctx, {
    purpose: "recover",
    email,
    customerId: hasAccount ? customer.id : "",
    secret: token.secret,
    lifetimeMs: RECOVERY_LIFETIME_MS,
    id: token.verificationId,
  });
  if (started.kind === "tooSoon") return started;
  await queueEmail(ctx, {
    template: "recovery",
    to: email,
    data: {
      resetUrl: `${ctx.settings.publicWebUrl}/reset-password?token=${token.text}`,
      minutes: RECOVERY_LIFETIME_MS / 60_000,
    },
    idempotencyKey: `recovery:${started.id}`,
    isDecoy: !hasAccount,
  });
  await writeAudit(ctx, { action: "onboarding.recover", subject: hasAccount ? customer.id : started.id });
  return started;
}
