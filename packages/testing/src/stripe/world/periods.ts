import type { Price } from "./stored.ts";

export type Recurring = Pick<NonNullable<Price["recurring"]>, "interval" | "interval_count">;

const DAY_SECONDS = 86_400;
export const daysAfter = (seconds: number, days: number): number => seconds + days * DAY_SECONDS;

/**
 * The boundary that many periods after an anchor. Months and years keep the anchor's day; a month without that day ends
 * on its last one, and the next longer month has the day again.
 */
export function boundary(anchor: number, recurring: Recurring, periods: number): number {
  const count = recurring.interval_count * periods;
  switch (recurring.interval) {
    case "day":
      return daysAfter(anchor, count);
    case "week":
      return daysAfter(anchor, 7 * count);
    case "year":
      return monthsAfter(anchor, 12 * count);
    default:
      return monthsAfter(anchor, count);
  }
}

function monthsAfter(anchor: number, months: number): number {
  const date = new Date(anchor * 1_000);
  const day = date.getUTCDate();
  const target = new Date(date);
  target.setUTCDate(1);
  target.setUTCMonth(target.getUTCMonth() + months);
  const last = new Date(Date.UTC(target.getUTCFullYear(), target.getUTCMonth() + 1, 0)).getUTCDate();
  target.setUTCDate(Math.min(day, last));
  return Math.floor(target.getTime() / 1_000);
}

/** The period that holds an instant. */
export function periodAt(anchor: number, recurring: Recurring, instant: number): { start: number; end: number } {
  let index = 0;
  while (boundary(anchor, recurring, index + 1) <= instant) index += 1;
  while (boundary(anchor, recurring, index) > instant) index -= 1;
  return { start: boundary(anchor, recurring, index), end: boundary(anchor, recurring, index + 1) };
}
