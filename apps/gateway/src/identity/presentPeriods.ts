import type { Period } from "@tollgate/kernel";
import { dayPeriod, monthPeriod } from "@tollgate/kernel";

/**
 * The month and the day that it is now, by time zone. Working one out takes a calendar and tens of microseconds, and a
 * gateway asks for the same few of them for every key.
 */
const months = new Map<string, Period>();
const days = new Map<string, Period>();

export const presentMonth = (nowMs: number, timeZone: string): Period => present(months, monthPeriod, nowMs, timeZone);
export const presentDay = (nowMs: number, timeZone: string): Period => present(days, dayPeriod, nowMs, timeZone);

function present(
  known: Map<string, Period>,
  work: (nowMs: number, timeZone: string) => Period,
  nowMs: number,
  timeZone: string,
): Period {
  const period = known.get(timeZone);
  if (period !== undefined && nowMs >= period.startMs && nowMs < period.endMs) return period;
  const fresh = work(nowMs, timeZone);
  known.set(timeZone, fresh);
  return fresh;
}
