import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Key } from "@tollgate/contracts";
import { randomBase62 } from "@tollgate/kernel";

/**
 * The text of a key: `tg_live_` or `tg_test_`, 32 random base62 characters (190 bits) and a 6-character base62 CRC32 of
 * everything before it. The checksum lets anyone tell a mistyped or made-up key from a real one without asking the
 * database, and lets a secret scanner find keys without false alarms. Only the SHA-256 is kept: with 190 random bits
 * there is nothing for a slow hash to protect.
 */
type KeyMode = Key["mode"];

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARACTERS = 32;
const CHECKSUM_CHARACTERS = 6;
const START_CHARACTERS = 12;
const PATTERN = /^tg_(live|test)_[0-9A-Za-z]{38}$/;

/** A new key's text. It is shown once and kept nowhere. */
export function generateKeyText(mode: KeyMode): string {
  const body = `tg_${mode}_${randomBase62(RANDOM_CHARACTERS)}`;
  return body + checksum(body);
}

/** Whether a text has the form of a key and its checksum is right. A key that passes may still not exist. */
export function hasValidChecksum(text: string): boolean {
  if (!PATTERN.test(text)) return false;
  const body = text.slice(0, -CHECKSUM_CHARACTERS);
  return text.slice(-CHECKSUM_CHARACTERS) === checksum(body);
}

/** The mode that a key's text states. Only for texts that passed {@link hasValidChecksum}. */
export function keyMode(text: string): KeyMode {
  return text.startsWith("tg_test_") ? "test" : "live";
}

/** What is kept of a key: the SHA-256 of its text, in hex. */
export function hashKey(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The first 12 characters, by which people recognise a key in a list. */
export function keyStart(text: string): string {
  return text.slice(0, START_CHARACTERS);
}

function checksum(body: string): string {
  let value = crc32(body);
  let text = "";
  for (let digit = 0; digit < CHECKSUM_CHARACTERS; digit += 1) {
    text = ALPHABET.charAt(value % 62) + text;
    value = Math.floor(value / 62);
  }
  return text;
}
