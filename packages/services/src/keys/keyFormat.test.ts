import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { generateKeyText, hashKey, hasValidChecksum, keyMode, keyStart } from "./keyFormat.ts";

const mode = fc.constantFrom("live", "test");
const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

test("a generated key has the documented form, states its mode and passes its own checksum", () => {
  fc.assert(
    fc.property(mode, (wanted) => {
      const text = generateKeyText(wanted);
      expect(text).toMatch(new RegExp(`^tg_${wanted}_[0-9A-Za-z]{38}$`));
      expect(hasValidChecksum(text)).toBe(true);
      expect(keyMode(text)).toBe(wanted);
      expect(keyStart(text)).toBe(text.slice(0, 12));
    }),
  );
});

test("changing any one character of a key breaks its checksum", () => {
  fc.assert(
    fc.property(mode, fc.nat({ max: 37 }), fc.constantFrom(...BASE62), (wanted, offset, replacement) => {
      const text = generateKeyText(wanted);
      const at = 8 + offset;
      fc.pre(text[at] !== replacement);
      expect(hasValidChecksum(text.slice(0, at) + replacement + text.slice(at + 1))).toBe(false);
    }),
  );
});

test("swapping two neighbouring characters of a key breaks its checksum", () => {
  fc.assert(
    fc.property(mode, fc.nat({ max: 36 }), (wanted, offset) => {
      const text = generateKeyText(wanted);
      const at = 8 + offset;
      fc.pre(text[at] !== text[at + 1]);
      const swapped = text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2);
      expect(hasValidChecksum(swapped)).toBe(false);
    }),
  );
});

test("arbitrary text is not a key", () => {
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => !hasValidChecksum(text)));
  expect(hasValidChecksum(`${generateKeyText("live")}\n`)).toBe(false);
});

test("the checksum is the CRC32 that scanners elsewhere compute", () => {
  // Computed with Python: zlib.crc32 of the first 40 characters, written in base62.
  expect(hasValidChecksum("tg_live_000000000000000000000000000000002XLEWX")).toBe(true);
});

test("what is kept of a key is the SHA-256 of its text", () => {
  const text = generateKeyText("live");
  expect(hashKey(text)).toBe(createHash("sha256").update(text, "utf8").digest("hex"));
});

test("every character of the alphabet is equally likely", () => {
  const counts = new Map<string, number>();
  const keys = 4_000;
  for (let made = 0; made < keys; made += 1) {
    for (const character of generateKeyText("live").slice(8, 40))
      counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  const expected = (keys * 32) / 62;
  let chiSquared = 0;
  for (const character of BASE62) chiSquared += ((counts.get(character) ?? 0) - expected) ** 2 / expected;
  // 61 degrees of freedom: a fair alphabet exceeds 130 less than once in a million runs; modulo bias would exceed 1,000.
  expect(chiSquared).toBeLessThan(130);
});
