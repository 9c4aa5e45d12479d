import { seal, unseal } from "@tollgate/kernel";

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
