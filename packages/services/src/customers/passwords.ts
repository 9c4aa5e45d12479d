import type { Algorithm } from "@node-rs/argon2";
import { hash, verify } from "@node-rs/argon2";
import { schema } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import { COMMON_PASSWORDS } from "./commonPasswords.ts";

/**
 * Passwords are kept as Argon2id (RFC 9106) with the parameters that the OWASP Password Storage Cheat Sheet recommends:
 * 19 MiB, two passes, one lane. They are normalised first (NFKC, as NIST SP 800-63B asks), so that the same password typed
 * on another keyboard is the same password.
 */
// The library's enum is a const enum, which a single-file compiler cannot read: 2 is Argon2id.
const PARAMETERS = { algorithm: 2 satisfies Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const normalise = (password: string): string => password.normalize("NFKC");

export function hashPassword(password: string): Promise<string> {
  return hash(normalise(password), PARAMETERS);
}

let decoy: Promise<string> | undefined;

/**
 * Whether a password is the one that was hashed. Without a hash (nobody has this address, or they have no password) a
 * decoy is verified, so that the answer takes as long.
 */
export async function verifyPassword(hashed: string | undefined, password: string): Promise<boolean> {
  decoy ??= hashPassword("the password of nobody");
  const isRight = await verify(hashed ?? (await decoy), normalise(password));
  return hashed !== undefined && isRight;
}

/** @throws TollgateError BAD_REQUEST `common_password` for one that attackers try first */
export function assertUncommonPassword(password: string, email: string): void {
  const plain = normalise(password).toLowerCase();
  const isRepetition = new Set(plain).size <= 2;
  if (COMMON_PASSWORDS.has(plain) || isRepetition || plain === email) throw commonPassword();
}

function commonPassword(): TollgateError {
  const message = "Is too easy to guess: choose another one";
  return badRequest(`password: ${message}`, { reason: "common_password", issues: [{ path: "password", message }] });
}

/** Sets a customer's password, inside a transaction. */
export async function savePassword(ctx: ServiceContext, customerId: string, hashed: string): Promise<void> {
  const { passwords } = schema;
  const updatedAt = ctx.clock.now();
  await ctx.db
    .insert(passwords)
    .values({ customerId, hash: hashed, updatedAt })
    .onConflictDoUpdate({ target: passwords.customerId, set: { hash: hashed, updatedAt } });
}
