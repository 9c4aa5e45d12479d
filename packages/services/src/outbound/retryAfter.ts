const DAY_MS = 24 * 3_600_000;

/** `Retry-After` in milliseconds (RFC 9110, section 10.2.3): seconds, or a date. Undefined for anything else. */
export function parseRetryAfter(header: string | string[] | undefined, now: Date): number | undefined {
  if (typeof header !== "string") return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  // The oldest of the three forms does not say that it is in GMT (section 5.6.7), and would be read in the machine's own zone.
  const at = Date.parse(/ GMT$/.test(header) ? header : `${header} GMT`);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime());
}

/** When to ask again: after our own wait, or after the longer one that was asked for (`Retry-After`), up to a day. */
export const retryAt = (now: Date, delayMs: number, retryAfterMs: number | undefined): Date =>
  new Date(now.getTime() + Math.max(delayMs, Math.min(retryAfterMs ?? 0, DAY_MS)));
