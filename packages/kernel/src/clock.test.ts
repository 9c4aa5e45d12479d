import { describe, expect, it } from "vitest";
import { delay, jitteredBackoffMs } from "./backoff.ts";
import { TestClock } from "./clock.ts";

describe("the clock of tests", () => {
  it("stands still until it is moved, and only forwards unless it is set", () => {
    const clock = new TestClock("2026-03-01T00:00:00Z");
    expect([clock.nowMs(), clock.now().toISOString()]).toEqual([
      Date.parse("2026-03-01T00:00:00Z"),
      "2026-03-01T00:00:00.000Z",
    ]);
    clock.advanceMs(1_500);
    expect(clock.now().toISOString()).toBe("2026-03-01T00:00:01.500Z");
    expect(() => clock.advanceMs(-1)).toThrow(RangeError);
    clock.set("2025-01-01T00:00:00Z");
    expect(clock.nowMs()).toBe(Date.parse("2025-01-01T00:00:00Z"));
  });
});

describe("waiting between attempts", () => {
  it("doubles its ceiling up to the cap, and anything below it may come", () => {
    const ceilings = [1, 2, 3, 4, 5, 60].map((attempt) => jitteredBackoffMs(attempt, 10, 100, () => 1));
    expect(ceilings).toEqual([10, 20, 40, 80, 100, 100]);
    expect(jitteredBackoffMs(3, 10, 100, () => 0)).toBe(0);
  });

  it("ends early when it is called off, also when that was before it began", async () => {
    const stopping = new AbortController();
    const waiting = delay(60_000, stopping.signal);
    stopping.abort();
    await waiting;
    await delay(60_000, stopping.signal);
  });
});
