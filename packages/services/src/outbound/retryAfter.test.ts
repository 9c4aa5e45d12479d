import { describe, expect, it } from "vitest";
import { parseRetryAfter, retryAt } from "./retryAfter.ts";

const NOW = new Date("2026-01-15T12:00:00Z");

describe("Retry-After", () => {
  it("is seconds or a date; anything else says nothing", () => {
    expect(parseRetryAfter("120", NOW)).toBe(120_000);
    expect(parseRetryAfter("Thu, 15 Jan 2026 12:00:10 GMT", NOW)).toBe(10_000);
    expect(parseRetryAfter("Thu, 15 Jan 2026 11:00:00 GMT", NOW)).toBe(0);
    expect(["soon", undefined, ["1", "2"]].map((header) => parseRetryAfter(header, NOW))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("may be a date in the forms that HTTP has given up, which are in GMT as well, on a machine in any time zone", () => {
    expect(parseRetryAfter("Thursday, 15-Jan-26 12:00:10 GMT", NOW)).toBe(10_000);
    expect(parseRetryAfter("Thu Jan 15 12:00:10 2026", NOW)).toBe(10_000);
    expect(parseRetryAfter("Thu Jan  1 12:00:10 2026", NOW)).toBe(0);
  });

  it("is waited for where it is longer than our own wait, up to a day", () => {
    const waited = (delayMs: number, asked?: number) => retryAt(NOW, delayMs, asked).getTime() - NOW.getTime();
    expect([waited(5_000), waited(5_000, 1_000), waited(5_000, 60_000), waited(5_000, 1e12)]).toEqual([
      5_000, 5_000, 60_000, 86_400_000,
    ]);
  });
});
