import type { Customer, confirmEmailChangeInput } from "@tollgate/contracts";
import { customersUpdated } from "@tollgate/contracts";
import { appendEvent, isUniqueViolation, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { conflict, unauthorized } from "@tollgate/kernel";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { isMailboxBanned } from "../customers/bans.ts";
import { markDeleted } from "../customers/deleteCustomer.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { findCustomer, toCustomer } from "../customers/internal.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { requireCustomer } from "../permissions.ts";
import type { VerificationRow } from "./checkCode.ts";
import { checkCode, invalidCode } from "./checkCode.ts";

const { customers, emails, verifications } = schema;

/**
 * Gives the caller's account the address that a code has proven. Links that recover the account from the old address die.
 * Repeating it changes nothing more.
 * @throws TollgateError UNAUTHORIZED; BAD_REQUEST `invalid_code`; CONFLICT `email_taken`
 */
export async function confirmEmailChange({
  ctx,
  input,
}: Verb<z.output<typeof confirmEmailChangeInput>>): Promise<Customer> {
  const { customerId } = requireCustomer(ctx);
  const { email } = input;
  const verification = await checkCode(ctx, { purpose: "email_change", email, customerId }, input.code);
  try {
    return await withTransaction(
      ctx,
      async (ctx) => {
        const customer = await findCustomer(ctx, { id: customerId });
        if (customer?.status !== "verified") throw unauthorized("The account is gone");
        if (customer.email === email) return toCustomer(customer);
        await consume(ctx, verification);
        return toCustomer(await move(ctx, customer, verification));
      },
      { isIdempotent: true },
    );
  } catch (error) {
    if (isUniqueViolation(error, "customers_email_live_key")) throw emailTaken();
    throw error;
  }
}

async function consume(ctx: ServiceContext, verification: VerificationRow): Promise<void> {
  const consumed = await ctx.db
    .update(verifications)
    .set({ consumedAt: ctx.clock.now() })
    .where(and(eq(verifications.id, verification.id), isNull(verifications.consumedAt)))
    .returning({ id: verifications.id });
  if (consumed.length === 0) throw invalidCode();
}

async function move(
  ctx: ServiceContext,
  customer: CustomerRow,
  { id: verificationId, email }: VerificationRow,
): Promise<CustomerRow> {
  if (await isMailboxBanned(ctx, email)) throw invalidCode();
  const holder = await findCustomer(ctx, { email });
  if (holder !== undefined && holder.status !== "unverified") throw emailTaken();
  // The address is proven now, and not by whoever once began to sign up with it.
  if (holder !== undefined) await markDeleted(ctx, holder, { force: true });
  const change = { email, updatedAt: ctx.clock.now() };
  await ctx.db.update(customers).set(change).where(eq(customers.id, customer.id));
  await ctx.db
    .delete(verifications)
    .where(and(eq(verifications.customerId, customer.id), eq(verifications.purpose, "recover")));
  // What waits for tomorrow goes to where they are tomorrow.
  await ctx.db
    .update(emails)
    .set({ recipient: email })
    .where(and(eq(emails.idempotencyKey, `welcome:${customer.id}`), eq(emails.status, "queued")));
  await queueEmail(ctx, {
    template: "emailChangeNotice",
    to: customer.email,
    data: { newEmail: email, hasHappened: true, recoverUrl: `${ctx.settings.publicWebUrl}/recover` },
    idempotencyKey: `email-changed:${verificationId}`,
  });
  await writeAudit(ctx, {
    action: "onboarding.confirmEmailChange",
    subject: customer.id,
    before: { email: customer.email },
    after: { email },
  });
  await appendEvent(ctx, customersUpdated, { customerId: customer.id, fields: ["email"] });
  return { ...customer, ...change };
}

function emailTaken(): TollgateError {
  return conflict("There is an account with this address", {
    reason: "email_taken",
    issues: [{ path: "email", message: "Belongs to an account" }],
  });
}
