import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlidingWindow } from "./slidingWindow.ts";

const SLOTS = 8;

describe("the sliding window", () => {
  it("knows exactly the calls of the slots that belong to it, however they come and are taken back", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            gap: fc.integer({ min: 0, max: SLOTS + 2 }),
            age: fc.integer({ min: 0, max: SLOTS + 2 }),
            isBack: fc.boolean(),
          }),
          { maxLength: 200 },
        ),
        (steps) => {
          const window = new SlidingWindow(SLOTS);
          let calls: number[] = [];
          let slot = 1_000;
          for (const { gap, age, isBack } of steps) {
            slot += gap;
            window.used(slot);
            if (isBack) {
              const [back] = calls.splice(0, 1);
              if (back !== undefined) window.uncount(back);
            } else {
              window.count(slot - age);
              calls.push(slot - age);
            }
            calls = calls.filter((at) => at > slot - SLOTS);
            expect(window.used(slot)).toBe(calls.length);
          }
          const entries = [...new Set(calls)].sort((a, b) => a - b);
          expect(window.entries()).toEqual(entries.map((at) => [at, calls.filter((call) => call === at).length]));
        },
      ),
    );
  });

  it("stands still while the clock is set back, and goes on from there", () => {
    const window = new SlidingWindow(SLOTS);
    window.count(100);
    expect([window.used(40), window.used(100), window.used(107), window.used(108)]).toEqual([1, 1, 1, 0]);
  });

  it("is empty again after a long silence", () => {
    const window = new SlidingWindow(SLOTS);
    for (let index = 0; index < 3; index += 1) window.count(100);
    expect(window.used(1_000_000)).toBe(0);
  });
});
