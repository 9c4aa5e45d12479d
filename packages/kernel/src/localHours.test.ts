import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";
import { localHourStartMs } from "./localHours.ts";
import { dayPeriod, hourFloor, monthPeriod } from "./periods.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Every zone of the runtime, and names that it knows besides. */
const ZONES = [...Intl.supportedValuesOf("timeZone"), "UTC", "Etc/GMT+5", "EST5EDT"];
/** Off by half an hour or by a quarter, and by both in the course of a year. */
const ODD = [
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "America/St_Johns",
  "Pacific/Chatham",
  "Australia/Eucla",
  "Australia/Lord_Howe",
];
const instants = fc.integer({ min: Date.parse("1970-01-02T00:00:00Z"), max: Date.parse("2040-01-01T00:00:00Z") });

const local = (atMs: number, zone: string) => Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(zone);
/** What must be the same in all of an hour. */
const nameOf = (atMs: number, zone: string): string => {
  const at = local(atMs, zone);
  return `${at.toPlainDate().toString()} ${at.hour} ${at.offset}`;
};
const begins = (at: string, zone: string): string => new Date(localHourStartMs(Date.parse(at), zone)).toISOString();

/** What holds for the hour of any instant, as the calendar of the runtime has it. */
function expectHourOf(atMs: number, zone: string): void {
  const startMs = localHourStartMs(atMs, zone);
  expect(startMs <= atMs && atMs < startMs + HOUR_MS).toBe(true);
  expect(nameOf(startMs, zone)).toBe(nameOf(atMs, zone));
  expect(nameOf(startMs - 1, zone)).not.toBe(nameOf(atMs, zone));
  expect(localHourStartMs(startMs, zone)).toBe(startMs);
}

describe("local hours", () => {
  it("begin less than an hour before any instant of theirs, and neither the local hour nor the day changes within", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), instants, (zone, atMs) => expectHourOf(atMs, zone)),
      { numRuns: 1_000 },
    );
  });

  it.each(ODD)("do so where days of %s begin, and on those on which its clocks are changed", (zone) => {
    for (let count = 0, atMs = Date.parse("2026-01-01T12:00:00Z"); count < 366; count += 1, atMs += 24 * HOUR_MS) {
      const day = dayPeriod(atMs, zone);
      for (const { startMs } of [day, monthPeriod(atMs, zone)]) {
        expect(localHourStartMs(startMs, zone)).toBe(startMs);
        expect(localHourStartMs(startMs - 1, zone)).toBeLessThan(startMs);
      }
      if (day.endMs - day.startMs === 24 * HOUR_MS) continue;
      for (let inDayMs = day.startMs - HOUR_MS; inDayMs < day.endMs + HOUR_MS; inDayMs += 5 * MINUTE_MS) {
        expectHourOf(inDayMs, zone);
        expectHourOf(inDayMs - 1, zone);
      }
    }
  });

  it("are those of UTC wherever the offset is of whole hours, also while the clocks are changed", () => {
    const zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "America/Havana"];
    const from = fc.integer({ min: Date.parse("1990-01-01T00:00:00Z"), max: Date.parse("2040-01-01T00:00:00Z") });
    fc.assert(
      fc.property(fc.constantFrom(...zones.slice(0, 4)), from, (zone, atMs) => {
        expect(localHourStartMs(atMs, zone)).toBe(hourFloor(atMs).getTime());
      }),
    );
    for (const zone of zones) {
      for (let atMs = Date.parse("2026-01-01T00:59:59Z"); atMs < Date.parse("2027-01-01T00:00:00Z"); atMs += HOUR_MS) {
        expect(localHourStartMs(atMs, zone)).toBe(hourFloor(atMs).getTime());
      }
    }
  });

  it("begin at half past and at a quarter where the zone does", () => {
    expect(begins("2026-01-10T10:29:59.999Z", "Asia/Kolkata")).toBe("2026-01-10T09:30:00.000Z");
    expect(begins("2026-01-10T10:30:00Z", "Asia/Kolkata")).toBe("2026-01-10T10:30:00.000Z");
    expect(begins("2026-01-10T10:14:59Z", "Asia/Kathmandu")).toBe("2026-01-10T09:15:00.000Z");
    expect(begins("2026-01-10T00:10:00Z", "Asia/Kathmandu")).toBe("2026-01-09T23:15:00.000Z");
    expect(begins("1969-12-31T23:10:00Z", "Asia/Kolkata")).toBe("1969-12-31T22:30:00.000Z");
  });

  it("are cut where the clocks are changed by half an hour", () => {
    const zone = "Australia/Lord_Howe";
    // Forward from 02:00 to 02:30 at 15:30 UTC, and back from 02:00 to 01:30 at 15:00 UTC.
    expect(begins("2026-10-03T15:29:59Z", zone)).toBe("2026-10-03T14:30:00.000Z");
    expect(begins("2026-10-03T15:40:00Z", zone)).toBe("2026-10-03T15:30:00.000Z");
    expect(begins("2026-10-03T16:00:00Z", zone)).toBe("2026-10-03T16:00:00.000Z");
    expect(begins("2026-04-04T14:59:59Z", zone)).toBe("2026-04-04T14:00:00.000Z");
    expect(begins("2026-04-04T15:29:59Z", zone)).toBe("2026-04-04T15:00:00.000Z");
    expect(begins("2026-04-04T15:30:00Z", zone)).toBe("2026-04-04T15:30:00.000Z");
  });

  it("are those of UTC in a zone that the runtime does not know", () => {
    expect(begins("2026-01-10T10:29:59Z", "Mars/Olympus")).toBe("2026-01-10T10:00:00.000Z");
  });
});
