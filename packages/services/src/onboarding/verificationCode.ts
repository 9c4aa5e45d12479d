import { createHmac, hkdfSync, randomInt } from "node:crypto";

/**
 * Codes that people type. Digits and consonants: without 0 and 1, which look like letters, and without vowels, so that no
 * code is a word. 28 characters, 8 of them, 38 bits. That is much for five guesses and little for a table of hashes, so a code is
 * kept under a key that the database does not hold.
 */
export const CODE_ALPHABET = "23456789BCDFGHJKLMNPQRSTVWXZ";
export const CODE_CHARACTERS = 8;

export function generateCode(): string {
  let code = "";
  while (code.length < CODE_CHARACTERS) code += CODE_ALPHABET.charAt(randomInt(CODE_ALPHABET.length));
  return code;
}

/** What is kept of a secret that was mailed: bound to what it is for and to whom it went. */
export function hashMailedSecret(masterSecret: string, purpose: string, email: string, secret: string): string {
  const key = Buffer.from(hkdfSync("sha256", masterSecret, "tollgate", "verifications.secret", 32));
  return createHmac("sha256", key)
    .update(JSON.stringify([purpose, email, secret]))
    .digest("hex");
}
