import { newId, randomBase62 } from "@tollgate/kernel";

/**
 * The secret of a recovery link: `tgp_<verification>_<32 random characters>`. It names the row that it belongs to, so
 * finding it needs no index of hashes, and it holds too much for guessing to be worth counting.
 */
const TOKEN = /^tgp_([0-9A-Za-z]{22})_([0-9A-Za-z]{32})$/;

export interface RecoveryToken {
  readonly text: string;
  readonly verificationId: string;
  readonly secret: string;
}

export function makeRecoveryToken(): RecoveryToken {
  const verificationId = newId("verification");
  const secret = randomBase62(32);
  return { text: `tgp_${verificationId.slice(verificationId.indexOf("_") + 1)}_${secret}`, verificationId, secret };
}

/** Reads a token; undefined for what has not even its form. */
export function parseRecoveryToken(text: string): RecoveryToken | undefined {
  const [, suffix, secret] = TOKEN.exec(text.trim()) ?? [];
  if (suffix === undefined || secret === undefined) return undefined;
  return { text, verificationId: `ver_${suffix}`, secret };
}
