import { createHmac, hkdfSync } from "node:crypto";

const GMAIL = new Set(["gmail.com", "googlemail.com"]);

/** The mailbox behind an address: `a.b+shop@googlemail.com` and `ab@gmail.com` reach the same person. */
export function mailboxOf(email: string): string {
  const at = email.lastIndexOf("@");
  const domain = email.slice(at + 1).toLowerCase();
  const [name = ""] = email.slice(0, at).toLowerCase().split("+");
  return GMAIL.has(domain) ? `${name.replaceAll(".", "")}@gmail.com` : `${name}@${domain}`;
}

/** A mailbox as it is kept where it outlives the customer: a hash under a key that the database does not hold. */
export function hashMailbox(masterSecret: string, purpose: string, email: string): string {
  const key = Buffer.from(hkdfSync("sha256", masterSecret, "tollgate", purpose, 32));
  return createHmac("sha256", key).update(mailboxOf(email)).digest("hex");
}
