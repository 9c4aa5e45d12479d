import { Temporal } from "temporal-polyfill";
import { expect, test } from "vitest";
import type { Cadence } from "./periods.ts";
import { anchoredPeriod, CADENCES, localDate } from "./periods.ts";

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/Sao_Paulo",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Pacific/Kiritimati",
  "America/St_Johns",
];
const MONTHS: Record<Cadence, number> = { monthly: 1, quarterly: 3, yearly: 12 };
const YEARS = 10;
// Ten years in which Samoa skipped a day and Brazil put its clocks forward at midnight.
const START_YEAR = 2009;

test.each(ZONES)("periods tile ten years exactly for every anchor day and cadence in %s", (timeZone) => {
  const wrong: unknown[] = [];
  for (const cadence of CADENCES) {
    for (let day = 1; day <= 31; day += 1) {
      const date = `${START_YEAR}-01-${String(day).padStart(2, "0")}`;
      const anchor = { date, cadence, timeZone };
      let atMs = Temporal.PlainDate.from(date).toZonedDateTime({ timeZone }).epochMilliseconds;
      for (let index = 0; index < (YEARS * 12) / MONTHS[cadence]; index += 1) {
        const period = anchoredPeriod(atMs, anchor);
        // The day is the anchor's, or the month's last where the month has no such day.
        const months = START_YEAR * 12 + index * MONTHS[cadence];
        const month = Temporal.PlainYearMonth.from({ year: Math.floor(months / 12), month: (months % 12) + 1 });
        const expected = month.toPlainDate({ day: Math.min(day, month.daysInMonth) }).toString();
        // It begins where the one before it ended, and its last instant is in it.
        const isExact =
          period.startMs === atMs &&
          period.endMs > period.startMs &&
          period.id === expected &&
          anchoredPeriod(period.endMs - 1, anchor).id === expected;
        if (!isExact) wrong.push({ anchor, index, period, expected });
        atMs = period.endMs;
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("the day of the anchor comes back after short months, also before the anchor", () => {
  const anchor = { date: "2027-01-31", cadence: "monthly", timeZone: "UTC" } as const;
  const idAt = (text: string) => anchoredPeriod(Date.parse(text), anchor).id;
  expect(["2027-02-10", "2027-03-10", "2027-03-31", "2026-12-05", "2024-02-29"].map(idAt)).toEqual([
    "2027-01-31",
    "2027-02-28",
    "2027-03-31",
    "2026-11-30",
    "2024-02-29",
  ]);
});

test("a period begins at the account's midnight, which a change of clocks may move", () => {
  const anchor = { date: "2018-11-04", cadence: "monthly", timeZone: "America/Sao_Paulo" } as const;
  // There was no midnight on 4 November 2018: clocks went from 23:59 to 01:00.
  expect(new Date(anchoredPeriod(Date.parse("2018-11-10T00:00:00Z"), anchor).startMs).toISOString()).toBe(
    "2018-11-04T03:00:00.000Z",
  );
  expect(localDate(Date.parse("2026-01-01T02:00:00Z"), "America/New_York")).toBe("2025-12-31");
});
