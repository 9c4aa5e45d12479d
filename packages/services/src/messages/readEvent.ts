import { createHash } from "node:crypto";
import type { DomainEvent, EventEnvelope } from "@tollgate/contracts";
import { eventEnvelope, eventNamed, laneOf } from "@tollgate/contracts";

/** What a message turns out to be. */
export type ReadEvent =
  | { readonly kind: "event"; readonly event: DomainEvent; readonly lane: string; readonly envelope: EventEnvelope }
  | {
      readonly kind: "malformed" | "unknown_version";
      readonly eventId: string;
      readonly subject: string;
      readonly lane: string;
      readonly envelope: Record<string, unknown>;
      readonly problem: string;
    };

/** Reads a message as it came from the stream. What is not an event of the catalogue says why. */
export function readMessage(text: string): ReadEvent {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) {
      return readEnvelope(json as Record<string, unknown>);
    }
  } catch {
    // Told below: whatever the parser says would say no more.
  }
  const eventId = `text:${createHash("sha256").update(text).digest("hex")}`;
  const envelope = { text: text.slice(0, TEXT_CHARACTERS_MAX).replaceAll("\0", "") };
  return { kind: "malformed", eventId, subject: "unknown", lane: "unknown", envelope, problem: "Not a JSON object" };
}

const TEXT_CHARACTERS_MAX = 10_000;

/** The same for an envelope that was parsed before. */
export function readEnvelope(json: Readonly<Record<string, unknown>>): ReadEvent {
  const parsed = eventEnvelope.safeParse(json);
  if (!parsed.success) {
    const text = JSON.stringify(json);
    const eventId =
      typeof json["id"] === "string" ? json["id"] : `text:${createHash("sha256").update(text).digest("hex")}`;
    const subject = typeof json["subject"] === "string" ? json["subject"] : "unknown";
    return { kind: "malformed", eventId, subject, lane: subject, envelope: json, problem: parsed.error.message };
  }
  const envelope = parsed.data;
  const { id: eventId, subject, version } = envelope;
  const lane = laneOf(subject, envelope.data);
  const definition = eventNamed(subject);
  const unreadable = { eventId, subject, lane, envelope };
  if (definition?.version !== version) {
    const known = definition === undefined ? "none" : String(definition.version);
    const problem = `${subject} came in version ${version}; known here: ${known}`;
    return { kind: "unknown_version", ...unreadable, problem };
  }
  const data = definition.schema.safeParse(envelope.data);
  if (!data.success) return { kind: "malformed", ...unreadable, problem: data.error.message };
  const event = { ...envelope, time: new Date(envelope.time), data: data.data } as unknown as DomainEvent;
  return { kind: "event", event, lane, envelope };
}
