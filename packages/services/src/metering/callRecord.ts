import type { schema } from "@tollgate/db";
import { callStartedAtMs } from "@tollgate/kernel";

/**
 * One finished call, as a gateway writes it to its spool and a worker folds it. None of the fields can contain a space, a
 * semicolon or a newline (they are ids, numbers and fixed words), so nothing needs escaping.
 */
export type CallOutcome = (typeof schema.CALL_OUTCOMES)[number];

export interface CallRecord {
  readonly sequence: number;
  readonly id: string;
  /** Part of the id. */
  readonly startedAtMs: number;
  readonly holderId: string;
  readonly billingAccountId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly endpointId: string;
  readonly mode: "live" | "test";
  readonly outcome: CallOutcome;
  readonly status: number;
  readonly latencyMs: number;
  readonly units: number;
  readonly unitPriceMicros: number;
  readonly chargedMicros: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** What was drawn from which budget: `id=amount`, separated by commas. */
  readonly draws: string;
}

/** Whose call it is and what it goes to: the part of a record that is the same for every call of one key to one endpoint. */
type CallSubject = Pick<CallRecord, "holderId" | "billingAccountId" | "projectId" | "keyId" | "endpointId" | "mode">;

/** What a finished call adds to its subject. */
export type FinishedCall = Omit<CallRecord, "sequence" | "startedAtMs" | keyof CallSubject>;

/**
 * Fields are separated by spaces and records by semicolons: characters that JSON need not escape, because a batch travels
 * as one JSON string and escaping 19 characters of every call costs more than the rest of its journey. For the same
 * journey, a subject that was in the batch before is `=` and its number there: it is half of a record.
 */
const FIELD_SEPARATOR = " ";
const SUBJECT_END = "|";
const SUBJECT_REFERENCE = "=";
export const RECORD_SEPARATOR = ";";
const SUBJECT_FIELDS = 6;
const FINISHED_FIELDS = 9;

/** The text of a subject: made once and kept. */
export function callRecordSubject(
  holderId: string,
  billingAccountId: string,
  projectId: string,
  keyId: string,
  endpointId: string,
  mode: "live" | "test",
): string {
  return `${holderId} ${billingAccountId} ${projectId} ${keyId} ${endpointId} ${mode}`;
}

/** The record of a finished call, without its number: the spool numbers it. */
export function formatFinishedCall(subject: string, call: FinishedCall): string {
  return `${call.id} ${subject}${SUBJECT_END}${call.outcome} ${call.status} ${call.latencyMs} ${call.units} ${call.unitPriceMicros} ${call.chargedMicros} ${call.requestBytes} ${call.responseBytes} ${call.draws}`;
}

/** A whole record, as it stands in a spool. */
export function formatCallRecord(record: Omit<CallRecord, "startedAtMs">): string {
  const { holderId, billingAccountId, projectId, keyId, endpointId, mode } = record;
  const subject = callRecordSubject(holderId, billingAccountId, projectId, keyId, endpointId, mode);
  return `${record.sequence} ${formatFinishedCall(subject, record)}`;
}

/** Records as one batch. */
export function joinCallRecords(records: readonly string[]): string {
  const numbers = new Map<string, number>();
  let text = "";
  for (const record of records) {
    if (text !== "") text += RECORD_SEPARATOR;
    const start = record.indexOf(FIELD_SEPARATOR, record.indexOf(FIELD_SEPARATOR) + 1) + 1;
    const end = record.indexOf(SUBJECT_END, start);
    const subject = record.slice(start, end);
    const number = numbers.get(subject);
    if (number === undefined) {
      numbers.set(subject, numbers.size);
      text += record;
    } else {
      text += record.slice(0, start) + SUBJECT_REFERENCE + number + record.slice(end);
    }
  }
  return text;
}

/** The records of a batch. @throws RangeError for one that cannot be read: a spool that cannot be read must not be dropped. */
export function parseCallRecords(records: string): CallRecord[] {
  const subjects: CallSubject[] = [];
  return records.split(RECORD_SEPARATOR).map((text) => parseCallRecord(text, subjects));
}

function parseCallRecord(text: string, subjects: CallSubject[]): CallRecord {
  const end = text.indexOf(SUBJECT_END);
  const [sequence = "", id = "", ...subjectFields] = text.slice(0, end).split(FIELD_SEPARATOR);
  const fields = text.slice(end + 1).split(FIELD_SEPARATOR);
  if (end < 0 || fields.length !== FINISHED_FIELDS) throw unreadable(text);
  const [outcome, status, latencyMs, units, unitPriceMicros, chargedMicros, requestBytes, responseBytes, draws] =
    fields as [CallOutcome, string, string, string, string, string, string, string, string];
  const { holderId, billingAccountId, projectId, keyId, endpointId, mode } = findSubject(text, subjectFields, subjects);
  const record: CallRecord = {
    sequence: Number(sequence),
    id,
    startedAtMs: callStartedAtMs(id),
    holderId,
    billingAccountId,
    projectId,
    keyId,
    endpointId,
    mode,
    outcome,
    status: Number(status),
    latencyMs: Number(latencyMs),
    units: Number(units),
    unitPriceMicros: Number(unitPriceMicros),
    chargedMicros: Number(chargedMicros),
    requestBytes: Number(requestBytes),
    responseBytes: Number(responseBytes),
    draws,
  };
  if (
    !Number.isSafeInteger(record.sequence) ||
    !Number.isSafeInteger(record.startedAtMs) ||
    !Number.isSafeInteger(record.chargedMicros) ||
    record.chargedMicros < 0
  ) {
    throw unreadable(text);
  }
  return record;
}

/** The subject that a record names, or the one before that it refers to. */
function findSubject(text: string, fields: readonly string[], subjects: CallSubject[]): CallSubject {
  const [first = ""] = fields;
  if (fields.length === 1 && first.startsWith(SUBJECT_REFERENCE)) {
    const subject = subjects[Number.parseInt(first.slice(SUBJECT_REFERENCE.length), 10)];
    if (subject === undefined) throw unreadable(text);
    return subject;
  }
  if (fields.length !== SUBJECT_FIELDS) throw unreadable(text);
  const [holderId, billingAccountId, projectId, keyId, endpointId, mode] = fields as [
    string,
    string,
    string,
    string,
    string,
    "live" | "test",
  ];
  const subject: CallSubject = { holderId, billingAccountId, projectId, keyId, endpointId, mode };
  subjects.push(subject);
  return subject;
}

const unreadable = (text: string): RangeError => new RangeError(`Not a call record: ${text.slice(0, 80)}`);
