import { randomFillSync } from "node:crypto";

/** W3C Trace Context, version 00: https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** Random bytes for 256 calls at a time: asking the system for each costs more than all the rest of this. */
const IDS_BYTES = 24;
const pool = Buffer.allocUnsafe(IDS_BYTES * 256);
let offset = pool.length;

/** Whether a text is a `traceparent` that may be carried on. */
export const isTraceparent = (text: unknown): text is string => typeof text === "string" && TRACEPARENT.test(text);

/** A `traceparent` of its own for what follows from `incoming`: in the same trace, or in a new one where there is none. */
export function nextTraceparent(incoming?: string): string {
  if (offset === pool.length) {
    randomFillSync(pool);
    offset = 0;
  }
  const random = pool.toString("hex", offset, offset + IDS_BYTES);
  offset += IDS_BYTES;
  const match = incoming === undefined ? null : TRACEPARENT.exec(incoming);
  if (match === null) return `00-${random.slice(0, 32)}-${random.slice(32)}-00`;
  return `00-${match[1]}-${random.slice(32)}-${match[2]}`;
}
