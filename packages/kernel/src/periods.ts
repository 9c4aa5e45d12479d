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

/** Whether the runtime knows this IANA time zone. */
export function isTimeZone(name: string): boolean {
  try {
    Temporal.Now.zonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}
