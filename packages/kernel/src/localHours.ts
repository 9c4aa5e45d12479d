import { Temporal } from "temporal-polyfill";
import { isTimeZone } from "./periods.ts";

/**
 * Hours as the clocks of a time zone have them. Where a zone is off by half an hour they begin at half past the hour of UTC,
 * and a zone may change its offset by half an hour in the middle of one (Lord Howe Island). So that nothing that is counted
 * by such hours is ever counted to the wrong day, an hour here is a stretch of time in which neither the local hour nor the
 * offset changes: at most 60 minutes, and fewer where the clocks are changed within. No local midnight lies inside of one.
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A zone's offsets on one day of UTC. Nowhere are the clocks changed twice on one. */
interface DayOffsets {
  readonly beforeMs: number;
  readonly afterMs: number;
  /** The first instant of the second offset; infinity on nearly all days. */
  readonly changesAtMs: number;
}

/** Asked for every call that is folded, and slow to find out: what is known is kept by zone and day of UTC. */
const known = new Map<string, Map<number, DayOffsets>>();
const ZONES_MAX = 1_000;
const DAYS_MAX = 1_000;

/**
 * The instant at which the local hour began in which an instant is. Wherever the offset is a number of whole hours it is
 * that of {@link hourFloor}. A zone that this runtime does not know is read as UTC: nothing is left uncounted for its name.
 */
export function localHourStartMs(atMs: number, timeZone: string): number {
  if (timeZone === "UTC") return Math.floor(atMs / HOUR_MS) * HOUR_MS;
  const days = daysOf(timeZone);
  const today = offsetsOf(days, atMs, timeZone);
  const offsetMs = atMs < today.changesAtMs ? today.beforeMs : today.afterMs;
  const startMs = Math.floor((atMs + offsetMs) / HOUR_MS) * HOUR_MS - offsetMs;
  if (today.changesAtMs > startMs && today.changesAtMs <= atMs) return today.changesAtMs;
  // The hour may have begun on the day before, and the clocks may have been changed there.
  const { changesAtMs } = offsetsOf(days, startMs, timeZone);
  return changesAtMs > startMs && changesAtMs <= atMs ? changesAtMs : startMs;
}

function daysOf(timeZone: string): Map<number, DayOffsets> {
  const existing = known.get(timeZone);
  if (existing !== undefined) return existing;
  if (known.size >= ZONES_MAX) known.clear();
  const days = new Map<number, DayOffsets>();
  known.set(timeZone, days);
  return days;
}

function offsetsOf(days: Map<number, DayOffsets>, atMs: number, timeZone: string): DayOffsets {
  const day = Math.floor(atMs / DAY_MS);
  const existing = days.get(day);
  if (existing !== undefined) return existing;
  if (days.size >= DAYS_MAX) days.clear();
  const fresh = findOffsets(day * DAY_MS, isTimeZone(timeZone) ? timeZone : "UTC");
  days.set(day, fresh);
  return fresh;
}

function findOffsets(dayMs: number, timeZone: string): DayOffsets {
  const beforeMs = offsetAt(dayMs, timeZone);
  const afterMs = offsetAt(dayMs + DAY_MS, timeZone);
  if (beforeMs === afterMs) return { beforeMs, afterMs, changesAtMs: Number.POSITIVE_INFINITY };
  let lastMs = dayMs;
  let changesAtMs = dayMs + DAY_MS;
  while (changesAtMs - lastMs > 1) {
    const middleMs = Math.floor((lastMs + changesAtMs) / 2);
    if (offsetAt(middleMs, timeZone) === beforeMs) lastMs = middleMs;
    else changesAtMs = middleMs;
  }
  return { beforeMs, afterMs, changesAtMs };
}

const offsetAt = (atMs: number, timeZone: string): number =>
  Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone).offsetNanoseconds / 1e6;
