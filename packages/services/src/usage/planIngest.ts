import { hash } from "node:crypto";
import type { CloudEvent, Ingested, IngestResult } from "@tollgate/contracts";
import { cloudEvent, EVENT_CHARACTERS_MAX } from "@tollgate/contracts";

/** What is to be done with a batch of events, and what is answered: a pure function. */
export interface IngestPlan {
  readonly answer: Ingested;
  /** Each event once, in the order of their keys: batches that share events then wait for each other in one order. */
  readonly events: readonly PlannedEvent[];
}

export interface PlannedEvent {
  /** The same for every repetition of the event, and for no other. */
  readonly key: string;
  readonly type: string;
  readonly occurredAtMs: number;
  /** The event as JSON. */
  readonly json: string;
}

/** Clocks differ; what happens later than that has not happened. */
const FUTURE_MS_MAX = 3_600_000;
/** Of a SHA-256 in hexadecimal: 128 bits, which no two events share by chance. */
const KEY_CHARACTERS = 32;

/** Every event is judged by itself, so that a bad one never stands in the way of the others. */
export function planIngest(projectId: string, events: readonly unknown[], nowMs: number): IngestPlan {
  const results: IngestResult[] = [];
  const planned = new Map<string, PlannedEvent>();
  for (const raw of events) {
    const { result, event } = judgeEvent(projectId, raw, nowMs);
    results.push(result);
    if (event !== undefined && !planned.has(event.key)) planned.set(event.key, event);
  }
  const rejected = results.filter(({ status }) => status === "rejected").length;
  const sorted = [...planned.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    answer: { results, accepted: results.length - rejected, rejected },
    events: sorted,
  };
}

interface Judged {
  readonly result: IngestResult;
  readonly event?: PlannedEvent;
}

function judgeEvent(projectId: string, raw: unknown, nowMs: number): Judged {
  const parsed = cloudEvent.safeParse(raw);
  if (!parsed.success) {
    return rejected(
      raw,
      parsed.error.issues.map(({ path, message }) => ({ path: path.map(String).join("."), message })),
    );
  }
  const event: CloudEvent = parsed.data;
  const occurredAtMs = event.time == null ? nowMs : Date.parse(event.time);
  if (!(occurredAtMs >= 0 && occurredAtMs <= nowMs + FUTURE_MS_MAX)) {
    return rejected(raw, [{ path: "time", message: "Must not be before 1970 or in the future" }]);
  }
  const json = toJson(event);
  if (json.length > EVENT_CHARACTERS_MAX) {
    return rejected(raw, [{ path: "data", message: "The event has more than 64 KiB" }]);
  }
  if (isUnstorable(json)) {
    return rejected(raw, [{ path: "data", message: "Must not contain the character NUL or half of a surrogate pair" }]);
  }
  const { source, id, type } = event;
  return {
    result: { source, id, status: "accepted" },
    event: { key: eventKey(projectId, source, id), type, occurredAtMs, json },
  };
}

/** Neither a project's id nor a source has a space, so no two pairs are written alike. */
const eventKey = (projectId: string, source: string, id: string): string =>
  hash("sha256", `${projectId} ${source} ${id}`, "hex").slice(0, KEY_CHARACTERS);

/** The typed client may send bigints, which JSON has not: they become decimal text, as amounts do everywhere. */
function toJson(event: CloudEvent): string {
  try {
    return JSON.stringify(event);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(event, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  }
}

/** JSON.stringify writes NUL and lone surrogates as escapes, and whole pairs as they are; a backslash before one is text. */
function isUnstorable(json: string): boolean {
  return json.includes("\\u") && /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(json);
}

function rejected(raw: unknown, issues: readonly { path: string; message: string }[]): Judged {
  const textOf = (field: string): string | null => {
    const value = typeof raw === "object" && raw !== null ? (raw as Record<string, unknown>)[field] : undefined;
    return typeof value === "string" ? value.slice(0, 1_000) : null;
  };
  return { result: { source: textOf("source"), id: textOf("id"), status: "rejected", issues: [...issues] } };
}
