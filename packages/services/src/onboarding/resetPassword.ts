import type { Done, resetPasswordInput } from "@tollgate/contracts";
import { customersPasswordReset } from "@tollgate/contracts";
import { appendEvent, retryRead, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";
import { and, eq, gt, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { loginEmailThrottle } from "../customers/login.ts";
import { assertUncommonPassword, hashPassword, savePassword, verifyPassword } from "../customers/passwords.ts";
import { endAllSessions } from "../customers/sessions.ts";
import { forgetAttempts } from "../customers/throttle.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import type { VerificationRow } from "./checkCode.ts";
import { parseRecoveryToken } from "./recoveryToken.ts";
import { hashMailedSecret } from "./verificationCode.ts";

const { customers, passwords, verifications } = schema;

/**
 * Sets a new password with the token of a recovery link. Every session ends, and whoever was slowed down for guessing the
 * old password may sign in at once. Repeating it with the same token and password changes nothing more.
 * @throws TollgateError BAD_REQUEST `invalid_recovery_token`, `common_password`
 */
export async function resetPassword({ ctx, input }: Verb<z.output<typeof resetPasswordInput>>): Promise<Done> {
  const verification = await findRecovery(ctx, input.token);
  if (verification === undefined) throw invalidToken();
  assertUncommonPassword(input.password, verification.email);
  const isDone = verification.consumedAt === null && (await resetFirst(ctx, verification, input.password));
  if (!isDone && !(await isRepetition(ctx, verification, input.password))) throw invalidToken();
  return { ok: true };
}

async function findRecovery(ctx: ServiceContext, text: string): Promise<VerificationRow | undefined> {
  const token = parseRecoveryToken(text);
  if (token === undefined) return undefined;
  const [row] = await retryRead(() =>
    ctx.db
      .select()
      .from(verifications)
      .where(
        and(
          eq(verifications.id, token.verificationId),
          eq(verifications.purpose, "recover"),
          gt(verifications.expiresAt, ctx.clock.now()),
        ),
      ),
  );
  if (row === undefined) return undefined;
  const given = hashMailedSecret(ctx.settings.masterSecret, "recover", row.email, token.secret);
  return row.secretHash === given ? row : undefined;
}

/** Does everything once; false if another request has done it, or if the account is none any more. */
async function resetFirst(ctx: ServiceContext, verification: VerificationRow, password: string): Promise<boolean> {
  const hashed = await hashPassword(password);
  return withTransaction(
    ctx,
    async (ctx) => {
      const consumed = await ctx.db
        .update(verifications)
        .set({ consumedAt: ctx.clock.now() })
        .where(and(eq(verifications.id, verification.id), isNull(verifications.consumedAt)))
        .returning({ id: verifications.id });
      if (consumed.length === 0) return false;
      const [customer] = await ctx.db.select().from(customers).where(eq(customers.id, verification.customerId));
      if (customer?.status !== "verified") return false;
      await savePassword(ctx, customer.id, hashed);
      const sessionIds = await endAllSessions(ctx, customer.id);
      await forgetAttempts(ctx, loginEmailThrottle(customer.email));
      // Somebody who was signed in and should not have been may have been about to take the address.
      await ctx.db
        .delete(verifications)
        .where(and(eq(verifications.customerId, customer.id), eq(verifications.purpose, "email_change")));
      await queueEmail(ctx, {
        template: "passwordChanged",
        to: customer.email,
        data: { recoverUrl: `${ctx.settings.publicWebUrl}/recover` },
        idempotencyKey: `password-changed:${verification.id}`,
      });
      await writeAudit(ctx, { action: "onboarding.resetPassword", subject: customer.id, after: { sessionIds } });
      await appendEvent(ctx, customersPasswordReset, { customerId: customer.id });
      return true;
    },
    { isIdempotent: true },
  );
}

/** Whether the password is the one that this token has set: then the caller has only missed the answer. */
async function isRepetition(ctx: ServiceContext, verification: VerificationRow, password: string): Promise<boolean> {
  const [row] = await retryRead(() =>
    ctx.db.select({ hash: passwords.hash }).from(passwords).where(eq(passwords.customerId, verification.customerId)),
  );
  return verifyPassword(row?.hash, password);
}

function invalidToken(): TollgateError {
  const message = "Is wrong, was used or has expired: ask for a new link";
  return badRequest(`token: ${message}`, {
    reason: "invalid_recovery_token",
    issues: [{ path: "token", message }],
  });
}
