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

/**
 * Fields are separated by spaces and records by semicolons: characters that JSON need not escape, because a batch travels
 * as one JSON string and escaping 19 characters of every call costs more than the rest of its journey.
 */
const FIELD_SEPARATOR = " ";
export const RECORD_SEPARATOR = ";";
const FIELDS = 17;

/** The part of a record that is the same for every call of one key to one endpoint: made once and kept. */
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

/** What a finished call adds to its subject. */
export type FinishedCall = Omit<
  CallRecord,
  "sequence" | "startedAtMs" | "holderId" | "billingAccountId" | "projectId" | "keyId" | "endpointId" | "mode"
>;

/** The record of a finished call, without its number: the spool numbers it. */
export function formatFinishedCall(subject: string, call: FinishedCall): string {
  return `${call.id} ${subject} ${call.outcome} ${call.status} ${call.latencyMs} ${call.units} ${call.unitPriceMicros} ${call.chargedMicros} ${call.requestBytes} ${call.responseBytes} ${call.draws}`;
}

/** A whole record, as a batch carries it. */
export function formatCallRecord(record: Omit<CallRecord, "startedAtMs">): string {
  const { holderId, billingAccountId, projectId, keyId, endpointId, mode } = record;
  const subject = callRecordSubject(holderId, billingAccountId, projectId, keyId, endpointId, mode);
  return `${record.sequence} ${formatFinishedCall(subject, record)}`;
}

/** @throws RangeError for a record that cannot be read: a spool that cannot be read must not be dropped. */
export function parseCallRecord(text: string): CallRecord {
  const fields = text.split(FIELD_SEPARATOR);
  if (fields.length !== FIELDS) throw new RangeError(`A call record has ${FIELDS} fields, not ${fields.length}`);
  const [sequence, id, holderId, billingAccountId, projectId, keyId, endpointId, mode, outcome, ...rest] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    "live" | "test",
    CallOutcome,
    ...string[],
  ];
  const [status, latencyMs, units, unitPriceMicros, chargedMicros, requestBytes, responseBytes, draws] = rest as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
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
    throw new RangeError(`Not a call record: ${text.slice(0, 80)}`);
  }
  return record;
}

/** The records of a batch. @throws RangeError */
export function parseCallRecords(records: string): CallRecord[] {
  return records.split(RECORD_SEPARATOR).map(parseCallRecord);
}
