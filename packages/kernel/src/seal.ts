import { hkdfSync } from "node:crypto";
import { decrypt, encrypt } from "./aead.ts";

/**
 * Authenticated encryption of small secrets at rest (AES-256-GCM, NIST SP 800-38D) under the deployment's master secret.
 * The purpose is bound in, so a value sealed for one column cannot be moved into another.
 */
const VERSION = "v1";

function keyFor(masterSecret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", masterSecret, "tollgate", purpose, 32));
}

export function seal(masterSecret: string, purpose: string, plaintext: string): string {
  const sealed = encrypt(keyFor(masterSecret, purpose), Buffer.from(plaintext, "utf8"));
  return `${VERSION}.${sealed.toString("base64url")}`;
}

/** @throws Error if the value was sealed under another secret or for another purpose, or was changed. */
export function unseal(masterSecret: string, purpose: string, sealed: string): string {
  const [version, text] = sealed.split(".");
  if (version !== VERSION || text === undefined) throw new Error("Unknown sealed format");
  return decrypt(keyFor(masterSecret, purpose), Buffer.from(text, "base64url")).toString("utf8");
}
