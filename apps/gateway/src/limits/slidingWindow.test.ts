import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlidingWindow } from "./slidingWindow.ts";

const START_MS = 1_760_000_000_000;

/** The most calls of any second that begins with a call. */
const mostInASecond = (passedAt: readonly number[]): number =>
  Math.max(0, ...passedAt.map((from) => passedAt.filter((at) => at >= from && at < from + 1_000).length));

const take = (window: SlidingWindow, nowMs: number): boolean => {
  if (window.remaining(nowMs) === 0) return false;
  window.count();
  return true;
};

describe("the sliding window", () => {
  it("never lets more than the limit pass in any second, whenever the calls come", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 }),
        (limit, gapsMs) => {
          const window = new SlidingWindow(limit);
          const passedAt: number[] = [];
          let nowMs = START_MS;
          for (const gapMs of gapsMs) {
            nowMs += gapMs;
            if (take(window, nowMs)) passedAt.push(nowMs);
          }
          expect(mostInASecond(passedAt)).toBeLessThanOrEqual(limit);
        },
      ),
    );
  });

  it("does not count a call that was refused later, and never forgets one that passed", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.array(
          fc.record({
            gapMs: fc.integer({ min: 0, max: 200 }),
            refusedAfterMs: fc.option(fc.integer({ min: 0, max: 1_500 })),
          }),
          {
            maxLength: 100,
          },
        ),
        (limit, calls) => {
          const window = new SlidingWindow(limit);
          const passedAt: number[] = [];
          let refusals: { atMs: number; slot: number }[] = [];
          let nowMs = START_MS;
          for (const { gapMs, refusedAfterMs } of calls) {
            nowMs += gapMs;
            window.remaining(nowMs);
            for (const { slot } of refusals.filter(({ atMs }) => atMs <= nowMs)) window.uncount(slot);
            refusals = refusals.filter(({ atMs }) => atMs > nowMs);
            if (window.remaining(nowMs) === 0) continue;
            const slot = window.count();
            if (refusedAfterMs === null) passedAt.push(nowMs);
            else refusals.push({ atMs: nowMs + refusedAfterMs, slot });
          }
          for (const { slot } of refusals) window.uncount(slot);
          expect(mostInASecond(passedAt)).toBeLessThanOrEqual(limit);
          const recent = passedAt.filter((at) => at > nowMs - 1_000).length;
          const lingering = passedAt.filter((at) => at > nowMs - 1_100).length;
          expect(limit - window.remaining(nowMs)).toBeGreaterThanOrEqual(recent);
          expect(limit - window.remaining(nowMs)).toBeLessThanOrEqual(lingering);
        },
      ),
    );
  });

  it.each([10, 100, 1_000, 10_000])("lets a caller that asks all the time have 95% of %d a second", (limit) => {
    const window = new SlidingWindow(limit);
    let passed = 0;
    for (let ms = 0; ms < 20_000; ms += 1) {
      for (let index = 0; index < Math.ceil(limit / 500); index += 1) if (take(window, START_MS + ms)) passed += 1;
    }
    expect(passed).toBeGreaterThanOrEqual(0.95 * limit * 20);
    expect(passed).toBeLessThanOrEqual(limit * 20);
  });

  it("stands still while the clock is set back, and goes on from there", () => {
    const window = new SlidingWindow(2);
    expect([take(window, START_MS), take(window, START_MS - 60_000), take(window, START_MS - 60_000)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(take(window, START_MS + 999)).toBe(false);
    expect(take(window, START_MS + 1_050)).toBe(true);
  });

  it("is empty again after a long silence", () => {
    const window = new SlidingWindow(3);
    for (let index = 0; index < 3; index += 1) take(window, START_MS);
    expect(window.remaining(START_MS + 3_600_000)).toBe(3);
  });

  it("takes over a new limit at once", () => {
    const window = new SlidingWindow(5);
    for (let index = 0; index < 5; index += 1) take(window, START_MS);
    window.limit = 3;
    expect(window.remaining(START_MS)).toBe(0);
    window.limit = 7;
    expect(window.remaining(START_MS)).toBe(2);
  });
});
