import { describe, expect, it } from "vitest";
import { seal, unseal } from "./seal.ts";

const SECRET = "0123456789abcdef0123456789abcdef";

describe("a sealed secret", () => {
  it.each(["", "password", "\u{1f511} schlüssel", "x".repeat(10_000)])("opens to what it was", (text) => {
    expect(unseal(SECRET, "smtp", seal(SECRET, "smtp", text))).toBe(text);
  });

  it("is another text every time, and does not show what it holds", () => {
    const sealed = seal(SECRET, "smtp", "password");
    expect(seal(SECRET, "smtp", "password")).not.toBe(sealed);
    expect(Buffer.from(sealed.slice(3), "base64url").toString("latin1")).not.toContain("password");
  });

  it("does not open for another purpose or under another secret", () => {
    const sealed = seal(SECRET, "smtp", "password");
    expect(() => unseal(SECRET, "stripe", sealed)).toThrow();
    expect(() => unseal(SECRET.replace("0", "1"), "smtp", sealed)).toThrow();
  });

  it("does not open when any of its bytes was changed, or some are missing", () => {
    const sealed = seal(SECRET, "smtp", "password");
    const bytes = Buffer.from(sealed.slice(3), "base64url");
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => unseal(SECRET, "smtp", `v1.${changed.toString("base64url")}`)).toThrow();
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => unseal(SECRET, "smtp", `v1.${bytes.subarray(0, length).toString("base64url")}`)).toThrow();
    }
  });

  it.each(["", "v1", "v2.abc", "plain text"])("is not %j", (text) => {
    expect(() => unseal(SECRET, "smtp", text)).toThrow();
  });
});
