import { hkdfSync, randomBytes } from "node:crypto";
import { z } from "zod";
import { decrypt, encrypt } from "./aead.ts";

/**
 * Envelope encryption: every value has a random key of its own, and only that key is wrapped by a master key. A new master
 * key wraps the small keys again and touches no value; an old one may go when nothing is wrapped by it any more.
 */
export interface MasterKey {
  /** Kept beside what the key wraps, so that it is found again. */
  readonly id: string;
  readonly secret: string;
}

export interface Envelope {
  readonly masterKeyId: string;
  /** The value's own key, encrypted under the master key. */
  readonly wrappedKey: string;
  readonly sealedValue: string;
}

/** The key that a deployment has without saying so: derived from its master secret. */
const ROOT_KEY_ID = "root";
const DATA_KEY_BYTES = 32;

/** Reads `id=secret,id=secret`, the newest first, for an environment's schema. */
export function toMasterKeys(text: string, context: z.core.$RefinementCtx<string>): readonly MasterKey[] {
  const keys: MasterKey[] = [];
  for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
    const [, id, secret] = /^([a-z0-9][a-z0-9-]{0,31})=(\S{32,})$/.exec(pair.trim()) ?? [];
    const isTaken = id === ROOT_KEY_ID || keys.some((key) => key.id === id);
    if (id === undefined || secret === undefined || isTaken) {
      const message = `Must be id=secret,…: ids once and not "${ROOT_KEY_ID}", secrets of 32 characters or more`;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
    keys.push({ id, secret });
  }
  return keys;
}

export class Keyring {
  readonly #keys = new Map<string, Buffer>();
  /** What new values are wrapped by. */
  readonly currentId: string;

  /** @param masterKeys the newest first; after them comes the key of the master secret */
  constructor(masterSecret: string, masterKeys: readonly MasterKey[] = []) {
    const all = [...masterKeys, { id: ROOT_KEY_ID, secret: masterSecret }];
    for (const { id, secret } of all) {
      this.#keys.set(id, Buffer.from(hkdfSync("sha256", secret, "tollgate", "master-key", DATA_KEY_BYTES)));
    }
    this.currentId = all[0]?.id ?? ROOT_KEY_ID;
  }

  /** @param context what the value belongs to; it opens nowhere else */
  seal(context: string, plaintext: string): Envelope {
    const dataKey = randomBytes(DATA_KEY_BYTES);
    const sealedValue = encrypt(dataKey, Buffer.from(plaintext, "utf8"), Buffer.from(context)).toString("base64url");
    return { ...this.#wrap(context, dataKey), sealedValue };
  }

  /** @throws Error if the master key is not on this ring, or anything was changed or belongs to something else */
  open(context: string, envelope: Envelope): string {
    const dataKey = this.#unwrap(context, envelope);
    return decrypt(dataKey, Buffer.from(envelope.sealedValue, "base64url"), Buffer.from(context)).toString("utf8");
  }

  /** The same envelope under the current master key; the value stays as it is. @throws Error as {@link open} does */
  rewrap(context: string, envelope: Envelope): Envelope {
    return { ...this.#wrap(context, this.#unwrap(context, envelope)), sealedValue: envelope.sealedValue };
  }

  #wrap(context: string, dataKey: Buffer): Omit<Envelope, "sealedValue"> {
    const masterKeyId = this.currentId;
    const wrapped = encrypt(this.#masterKey(masterKeyId), dataKey, wrapContext(masterKeyId, context));
    return { masterKeyId, wrappedKey: wrapped.toString("base64url") };
  }

  #unwrap(context: string, { masterKeyId, wrappedKey }: Envelope): Buffer {
    const wrapped = Buffer.from(wrappedKey, "base64url");
    return decrypt(this.#masterKey(masterKeyId), wrapped, wrapContext(masterKeyId, context));
  }

  #masterKey(id: string): Buffer {
    const key = this.#keys.get(id);
    if (key === undefined) throw new Error(`There is no master key ${id}`);
    return key;
  }
}

const wrapContext = (masterKeyId: string, context: string): Buffer => Buffer.from(`${masterKeyId}:${context}`);
