import { Temporal } from "temporal-polyfill";

/** A half-open span of time with a name that sorts and that ids may contain. */
export interface Period {
  readonly id: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** The calendar month that contains an instant, in a time zone: `2026-11`, from local midnight of the first to that of the next. */
export function monthPeriod(atMs: number, timeZone: string): Period {
  const local = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone);
  const first = local.toPlainDate().with({ day: 1 });
  return {
    id: first.toPlainYearMonth().toString(),
    startMs: first.toZonedDateTime({ timeZone }).epochMilliseconds,
    endMs: first.add({ months: 1 }).toZonedDateTime({ timeZone }).epochMilliseconds,
  };
}

/** The calendar day that contains an instant, in a time zone: `2026-11-22`. It may have 23 or 25 hours. */
export function dayPeriod(atMs: number, timeZone: string): Period {
  const day = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone).toPlainDate();
  return {
    id: day.toString(),
    startMs: day.toZonedDateTime({ timeZone }).epochMilliseconds,
    endMs: day.add({ days: 1 }).toZonedDateTime({ timeZone }).epochMilliseconds,
  };
}

const HOUR_MS = 3_600_000;

/** The beginning of the hour in which an instant is: usage and charges are kept by such hours. */
export const hourFloor = (atMs: number): Date => new Date(Math.floor(atMs / HOUR_MS) * HOUR_MS);
/** The end of that hour; an instant that is an hour's beginning is its own. */
export const hourCeiling = (atMs: number): Date => new Date(Math.ceil(atMs / HOUR_MS) * HOUR_MS);

export const CADENCES = ["monthly", "quarterly", "yearly"] as const;
export type Cadence = (typeof CADENCES)[number];
const MONTHS = { monthly: 1, quarterly: 3, yearly: 12 } as const satisfies Record<Cadence, number>;

/** What fixes when an account's periods begin: a local date, how many months lie between, and whose days are meant. */
export interface PeriodAnchor {
  /** `2026-01-31`: its day comes back after every month that is too short for it. */
  readonly date: string;
  readonly cadence: Cadence;
  readonly timeZone: string;
}

/** The local date of an instant, as an anchor has it. */
export function localDate(atMs: number, timeZone: string): string {
  return Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone).toPlainDate().toString();
}

/**
 * The billing period that contains an instant: from local midnight to local midnight, half-open. Each boundary is counted
 * from the anchor itself and never from the boundary before it, so a short month does not move the day of those after it
 * (31 January, 28 February, 31 March), and the periods of an anchor tile time without gap or overlap. Where midnight does
 * not exist (a clock put forward at midnight, a date that a country skipped), the day begins at its first instant.
 */
export function anchoredPeriod(atMs: number, anchor: PeriodAnchor): Period {
  const { timeZone } = anchor;
  const first = Temporal.PlainDate.from(anchor.date);
  const step = MONTHS[anchor.cadence];
  const boundary = (index: number) => first.add({ months: index * step });
  const startMs = (index: number) => boundary(index).toZonedDateTime({ timeZone }).epochMilliseconds;
  const local = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone);
  // Whole months between the dates, which is at most one period off.
  let index = Math.floor(((local.year - first.year) * 12 + local.month - first.month) / step);
  let start = startMs(index);
  let end = startMs(index + 1);
  while (start > atMs) {
    index -= 1;
    [start, end] = [startMs(index), start];
  }
  while (end <= atMs) {
    index += 1;
    [start, end] = [end, startMs(index + 1)];
  }
  return { id: boundary(index).toString(), startMs: start, endMs: end };
}

const TIME_ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]*$/;

/**
 * Whether the runtime knows this IANA time zone. It takes offsets and whole dates for one as well, which are none: PostgreSQL
 * reads `+05:30` as west of Greenwich, and dates not at all.
 */
export function isTimeZone(name: string): boolean {
  if (!TIME_ZONE_NAME.test(name)) return false;
  try {
    Temporal.Now.zonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}
