import { describe, expect, it } from "vitest";
import { callStartedAtMs, ID_PREFIXES, idPattern, newCallId, newId, randomBase62 } from "./ids.ts";

describe("ids", () => {
  it("match the pattern of their kind and of no other", () => {
    const kinds = Object.keys(ID_PREFIXES) as (keyof typeof ID_PREFIXES)[];
    for (const kind of kinds) {
      const id = kind === "call" ? newCallId(1) : newId(kind);
      expect(kinds.filter((other) => idPattern(other).test(id))).toEqual([kind]);
    }
    expect(new Set(Object.values(ID_PREFIXES)).size).toBe(kinds.length);
  });

  it("are never the same twice", () => {
    expect(new Set(Array.from({ length: 20_000 }, () => newId("key"))).size).toBe(20_000);
  });

  it("of calls say when the call began, to the millisecond, and are never the same twice", () => {
    const times = [0, 1, 61, 62, Date.parse("2026-03-01T10:30:00.123Z"), Date.parse("8888-01-01T00:00:00.000Z")];
    expect(times.map((ms) => callStartedAtMs(newCallId(ms)))).toEqual(times);
    expect(new Set(Array.from({ length: 20_000 }, () => newCallId(1_000))).size).toBe(20_000);
    for (const text of ["", "call_", "call_0000", "call_000000é0", "cal"]) expect(callStartedAtMs(text)).toBeNaN();
  });

  it.each([
    "prj_",
    "prj_short",
    "prj_has space here",
    "prj_aaaaaaaa\n",
    " prj_aaaaaaaa",
    "PRJ_aaaaaaaa",
    "cus_aaaaaaaa",
    `prj_${"a".repeat(41)}`,
    "prj_aaaaaaa'",
  ])("%j is not the id of a project", (text) => {
    expect(idPattern("project").test(text)).toBe(false);
  });
});

describe("random text", () => {
  it("has the length that was asked for", () => {
    for (const length of [0, 1, 22, 32, 20_000]) expect(randomBase62(length)).toHaveLength(length);
  });

  it("uses each of its 62 characters equally often", () => {
    const drawn = 620_000;
    const counts = new Map<string, number>();
    for (const character of randomBase62(drawn)) counts.set(character, (counts.get(character) ?? 0) + 1);
    expect([...counts.keys()].sort().join("")).toBe("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    const expected = drawn / 62;
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 61 degrees of freedom: fair text exceeds 150 once in a billion runs; a modulo bias gives tens of thousands.
    expect(chiSquare).toBeLessThan(150);
  });
});
