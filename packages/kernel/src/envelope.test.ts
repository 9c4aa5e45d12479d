import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Envelope } from "./envelope.ts";
import { Keyring, toMasterKeys } from "./envelope.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const OLD = { id: "2026", secret: "a".repeat(32) };
const NEW = { id: "2027", secret: "b".repeat(32) };
const VALUE = "sk_live_hidden";

describe("an envelope", () => {
  const ring = new Keyring(SECRET);

  it("opens to what it was, and is another text every time", () => {
    const envelope = ring.seal("here", VALUE);
    expect(ring.open("here", envelope)).toBe(VALUE);
    expect(ring.seal("here", VALUE)).not.toEqual(envelope);
    expect(JSON.stringify(envelope)).not.toContain(VALUE);
    expect(envelope.masterKeyId).toBe("root");
  });

  it("opens nowhere else, and not under another secret", () => {
    const envelope = ring.seal("here", VALUE);
    expect(() => ring.open("there", envelope)).toThrow();
    expect(() => new Keyring(`${SECRET}!`).open("here", envelope)).toThrow();
  });

  it("does not open with the wrapped key or the value of another, even one that says the same", () => {
    const [one, two] = [ring.seal("here", VALUE), ring.seal("here", VALUE)];
    expect(() => ring.open("here", { ...one, wrappedKey: two.wrappedKey })).toThrow();
    expect(() => ring.open("here", { ...one, sealedValue: two.sealedValue })).toThrow();
  });

  it("does not open when any of its bytes was changed", () => {
    const envelope = ring.seal("here", VALUE);
    for (const field of ["wrappedKey", "sealedValue"] as const) {
      const bytes = Buffer.from(envelope[field], "base64url");
      for (let index = 0; index < bytes.length; index += 1) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ 1;
        const tampered: Envelope = { ...envelope, [field]: changed.toString("base64url") };
        expect(() => ring.open("here", tampered)).toThrow();
      }
    }
  });

  it("whose authentication tag was shortened does not open", () => {
    const envelope = ring.seal("here", "");
    const bytes = Buffer.from(envelope.sealedValue, "base64url");
    expect(() =>
      ring.open("here", { ...envelope, sealedValue: bytes.subarray(0, 16).toString("base64url") }),
    ).toThrow();
  });
});

describe("a new master key", () => {
  it("wraps what an old one had wrapped and leaves the value as it is; then the old one may go", () => {
    const envelope = new Keyring(SECRET, [OLD]).seal("here", VALUE);
    const both = new Keyring(SECRET, [NEW, OLD]);
    expect(both.open("here", envelope)).toBe(VALUE);
    const rewrapped = both.rewrap("here", envelope);
    expect(rewrapped).toMatchObject({ masterKeyId: NEW.id, sealedValue: envelope.sealedValue });
    expect(rewrapped.wrappedKey).not.toBe(envelope.wrappedKey);
    expect(new Keyring(SECRET, [NEW]).open("here", rewrapped)).toBe(VALUE);
    expect(() => new Keyring(SECRET, [NEW]).open("here", envelope)).toThrow("2026");
  });

  it("cannot be passed off as another", () => {
    const both = new Keyring(SECRET, [NEW, { ...OLD, secret: NEW.secret }]);
    const envelope = both.seal("here", VALUE);
    expect(() => both.open("here", { ...envelope, masterKeyId: OLD.id })).toThrow();
  });
});

describe("the variable", () => {
  const schema = z.string().transform(toMasterKeys);

  it("gives the keys in their order", () => {
    expect(schema.parse(` 2027=${NEW.secret}, 2026=${OLD.secret}`)).toEqual([NEW, OLD]);
    expect(schema.parse("")).toEqual([]);
  });

  it.each([`2027=short`, `=${"a".repeat(32)}`, `root=${"a".repeat(32)}`, `a=${"a".repeat(32)},a=${"b".repeat(32)}`])(
    "does not take %s, and does not repeat it",
    (text) => {
      const parsed = schema.safeParse(text);
      expect(parsed.success).toBe(false);
      expect(JSON.stringify(parsed.error)).not.toContain("a".repeat(32));
    },
  );
});
