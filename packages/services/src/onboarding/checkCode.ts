import { schema, withTransaction } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";
import { and, desc, eq, gt } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { hashMailedSecret } from "./verificationCode.ts";

const GUESSES_MAX = 5;
/** Everybody who guesses at one code meets at one row. */
const ATTEMPTS_MAX = 40;
const { verifications } = schema;

export type VerificationRow = typeof verifications.$inferSelect;

/** What a code is to prove, and for whom where somebody is signed in. */
export interface CodeSubject {
  readonly purpose: "signup" | "email_change";
  readonly email: string;
  readonly customerId?: string;
}

/**
 * The request that a code belongs to. A wrong guess is counted in a transaction of its own that commits before the answer
 * is given, and a guess is compared only in that transaction: of any number of guesses at once, five are answered, and
 * then the code is dead. A code that was used is found too, until it expires: the caller may be repeating a request.
 * @throws TollgateError BAD_REQUEST `invalid_code`, whatever is wrong
 */
export async function checkCode(ctx: ServiceContext, subject: CodeSubject, code: string): Promise<VerificationRow> {
  const { purpose, email, customerId } = subject;
  const given = hashMailedSecret(ctx.settings.masterSecret, purpose, email, code);
  const found = await withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db
        .select()
        .from(verifications)
        .where(
          and(
            eq(verifications.email, email),
            eq(verifications.purpose, purpose),
            customerId === undefined ? undefined : eq(verifications.customerId, customerId),
            gt(verifications.expiresAt, ctx.clock.now()),
          ),
        )
        .orderBy(desc(verifications.createdAt))
        .limit(1);
      if (row === undefined || row.attempts >= GUESSES_MAX) return undefined;
      // Both are keyed hashes: how long the comparison takes says nothing of the code.
      if (row.secretHash === given) return row;
      await ctx.db
        .update(verifications)
        .set({ attempts: row.attempts + 1 })
        .where(eq(verifications.id, row.id));
      return undefined;
    },
    { attemptsMax: ATTEMPTS_MAX, isIdempotent: true },
  );
  if (found === undefined) throw invalidCode();
  return found;
}

export function invalidCode(): TollgateError {
  const message = "Is wrong, was used or has expired: ask for a new one";
  return badRequest(`code: ${message}`, { reason: "invalid_code", issues: [{ path: "code", message }] });
}
