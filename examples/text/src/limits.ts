/** What one call may cost at most; the gateway reserves this much before it and the service never exceeds it. */
export const WORDS_MAX = 10_000;
export const STREAM_BYTES_MAX = 65_536;
export const DELAY_MS_MAX = 1_000;
