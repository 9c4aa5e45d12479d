import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dayPeriod, isTimeZone, monthPeriod } from "./periods.ts";

/** Zones with every kind of trouble: midnight that does not exist, half-hour steps, both hemispheres, days that were skipped. */
const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/Sao_Paulo",
  "Asia/Beirut",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Asia/Kathmandu",
];
const FROM_MS = Date.parse("2010-01-01T00:00:00Z");
const TO_MS = Date.parse("2035-01-01T00:00:00Z");
const HOUR_MS = 3_600_000;

describe.each(ZONES)("periods in %s", (zone) => {
  it("tile: each month begins where the one before ends, and has the next name", () => {
    let month = monthPeriod(FROM_MS, zone);
    for (let count = 0; count < 300; count += 1) {
      const next = monthPeriod(month.endMs, zone);
      expect(next.startMs).toBe(month.endMs);
      const [year = 0, number = 0] = month.id.split("-").map(Number);
      expect(next.id).toBe(number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`);
      expect(monthPeriod(month.endMs - 1, zone)).toEqual(month);
      month = next;
    }
  });

  it("tile: each day begins where the one before ends, and has 23 to 25 hours", () => {
    let day = dayPeriod(FROM_MS, zone);
    for (let count = 0; count < 1_000; count += 1) {
      const next = dayPeriod(day.endMs, zone);
      expect(next.startMs).toBe(day.endMs);
      expect(next.id > day.id).toBe(true);
      const hours = (day.endMs - day.startMs) / HOUR_MS;
      expect(hours >= 23 && hours <= 25).toBe(true);
      day = next;
    }
  });

  it("hold the instant that they are asked for, and a day lies in the month of its name", () => {
    fc.assert(
      fc.property(fc.integer({ min: FROM_MS, max: TO_MS }), (atMs) => {
        const month = monthPeriod(atMs, zone);
        const day = dayPeriod(atMs, zone);
        expect(month.startMs <= atMs && atMs < month.endMs).toBe(true);
        expect(day.startMs <= atMs && atMs < day.endMs).toBe(true);
        expect(day.id.startsWith(month.id)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe("time zones", () => {
  it("are told from other words", () => {
    for (const zone of ZONES) expect(isTimeZone(zone)).toBe(true);
    for (const zone of [...Intl.supportedValuesOf("timeZone"), "Etc/GMT+5", "EST5EDT", "America/Port-au-Prince"]) {
      expect(isTimeZone(zone)).toBe(true);
    }
    for (const word of ["", "Mars/Olympus", "Europe", "../etc/passwd"]) expect(isTimeZone(word)).toBe(false);
  });

  it("are names: offsets and dates, which the database reads otherwise or not at all, are none", () => {
    for (const word of ["+05:30", "-03:30", "2026-01-01T00:00+05:30[Asia/Kolkata]", "2026-01-01 00:00Z"]) {
      expect(isTimeZone(word)).toBe(false);
    }
  });
});
