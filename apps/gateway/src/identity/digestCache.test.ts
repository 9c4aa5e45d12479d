import { hash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Digested } from "./digestCache.ts";
import { DigestCache } from "./digestCache.ts";

interface Numbered extends Digested<Numbered> {
  readonly version: number;
}

const digestOf = (name: string): string => hash("sha256", name, "binary");
const numbered = (digest: string, version = 0): Numbered => ({ digest, version, wasUsed: false, alike: undefined });

describe("a cache by digest", () => {
  it("gives what was put last for each digest, and nothing for others, though they begin alike", () => {
    const digest = fc
      .tuple(fc.constantFrom("\0\0\0\0", "\u00ffabc", "@abc"), fc.constantFrom("a", "b", "c"))
      .map(([start, rest]) => start + rest.repeat(28));
    const step = fc.tuple(fc.constantFrom("set", "delete", "get"), digest);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = new DigestCache<Numbered>(1_000);
        const model = new Map<string, number>();
        for (const [version, [verb, of]] of steps.entries()) {
          if (verb === "set") {
            cache.set(numbered(of, version));
            model.set(of, version);
          } else if (verb === "delete") {
            cache.delete(of);
            model.delete(of);
          }
          expect(cache.get(of)?.version).toBe(model.get(of));
          expect(cache.size).toBe(model.size);
          const held = [...cache.values()].map((entry) => [entry.digest, entry.version]);
          expect(new Map(held as [string, number][])).toEqual(model);
        }
      }),
    );
  });

  it("never holds more than it may, and keeps what is in use while others pass through", () => {
    const cache = new DigestCache<Numbered>(100);
    const inUse = Array.from({ length: 60 }, (_, index) => digestOf(`in use ${index}`));
    for (const digest of inUse) cache.set(numbered(digest));
    for (let passing = 0; passing < 5_000; passing += 1) {
      for (const digest of inUse) cache.get(digest);
      cache.set(numbered(digestOf(`passing ${passing}`)));
      expect(cache.size).toBeLessThanOrEqual(100);
    }
    expect(inUse.filter((digest) => cache.get(digest) === undefined)).toEqual([]);
    expect([...cache.values()]).toHaveLength(100);
  });

  it("makes room also when everything is in use", () => {
    const cache = new DigestCache<Numbered>(10);
    for (let index = 0; index < 1_000; index += 1) {
      cache.set(numbered(digestOf(`${index}`)));
      for (const entry of cache.values()) cache.get(entry.digest);
      expect(cache.get(digestOf(`${index}`))).toBeDefined();
      expect(cache.size).toBeLessThanOrEqual(10);
    }
  });
});
