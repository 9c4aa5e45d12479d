import { describe, expect, it } from "vitest";
import { planDeletion, RETRY_DELAYS_MS } from "./planDeletion.ts";

const NOW = new Date("2026-03-01T00:00:00Z");
const DAY_MS = 86_400_000;
const after = (ms: number) => ({ kind: "retry", at: new Date(NOW.getTime() + ms) });

describe("after an attempt at a deletion", () => {
  it("only 2xx says that the data is gone", () => {
    for (const status of [200, 202, 204]) expect(planDeletion({ attempts: 1, status }, NOW)).toEqual({ kind: "done" });
    for (const status of [null, 301, 307, 400, 401, 404, 410, 500, 503]) {
      expect(planDeletion({ attempts: 1, status }, NOW)).toEqual(after(10_000));
    }
  });

  it("the waits grow, reach over three weeks, and end with an operator", () => {
    RETRY_DELAYS_MS.forEach((delayMs, index) => {
      expect(planDeletion({ attempts: index + 1, status: 500 }, NOW)).toEqual(after(delayMs));
    });
    expect(planDeletion({ attempts: RETRY_DELAYS_MS.length + 1, status: 500 }, NOW)).toEqual({ kind: "failed" });
    expect(RETRY_DELAYS_MS.reduce((sum, delayMs) => sum + delayMs, 0)).toBeGreaterThan(20 * DAY_MS);
  });

  it("an upstream may ask for a longer wait, up to a day", () => {
    expect(planDeletion({ attempts: 1, status: 503, retryAfterMs: 60_000 }, NOW)).toEqual(after(60_000));
    expect(planDeletion({ attempts: 1, status: 503, retryAfterMs: 1 }, NOW)).toEqual(after(10_000));
    expect(planDeletion({ attempts: 1, status: 503, retryAfterMs: 90 * DAY_MS }, NOW)).toEqual(after(DAY_MS));
  });
});
