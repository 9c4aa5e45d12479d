import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** AES-256-GCM (NIST SP 800-38D) with a random nonce: nonce, tag and body in one buffer. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NO_CONTEXT = Buffer.alloc(0);

/** @param context must be given again to open, and is not part of the result */
export function encrypt(key: Buffer, plaintext: Buffer, context: Buffer = NO_CONTEXT): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(context);
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

/** @throws Error if key or context are others, or a byte was changed */
export function decrypt(key: Buffer, encrypted: Buffer, context: Buffer = NO_CONTEXT): Buffer {
  const nonce = encrypted.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(context);
  decipher.setAuthTag(encrypted.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  return Buffer.concat([decipher.update(encrypted.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
}
