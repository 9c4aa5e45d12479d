import { createHmac, hkdfSync } from "node:crypto";
import type { Email } from "@tollgate/contracts";
import type { schema } from "@tollgate/db";
import { seal, unseal } from "@tollgate/kernel";

export type EmailRow = typeof schema.emails.$inferSelect;

/**
 * What a mail is told may be a secret (a code), so a row keeps it sealed, and only until the mail is sent.
 */
const SEAL_PURPOSE = "emails.data";

export function sealData(masterSecret: string, data: unknown): Record<string, unknown> {
  return { sealed: seal(masterSecret, SEAL_PURPOSE, JSON.stringify(data)) };
}

/** @throws Error if the data was sealed under another master secret, or is not sealed data */
export function unsealData(masterSecret: string, data: Record<string, unknown>): unknown {
  const { sealed } = data;
  if (typeof sealed !== "string") throw new Error("The mail's data is not there");
  return JSON.parse(unseal(masterSecret, SEAL_PURPOSE, sealed));
}

/** What is kept of a service's request: under a key, because the codes in it could be guessed from a plain hash. */
export function hashRequest(masterSecret: string, request: object): string {
  const key = Buffer.from(hkdfSync("sha256", masterSecret, "tollgate", "emails.request", 32));
  return createHmac("sha256", key).update(JSON.stringify(request)).digest("hex");
}

export function toEmail(row: EmailRow): Email {
  return {
    id: row.id,
    template: row.template,
    to: row.recipient,
    status: row.status,
    attempts: row.attempts,
    lastError: row.lastError,
    createdAt: row.createdAt,
    sendAt: row.sendAt,
    sentAt: row.sentAt,
  };
}
