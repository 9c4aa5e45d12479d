import type { schema } from "@tollgate/db";

/**
 * One finished call, as a gateway writes it to its spool and a worker folds it: a line of fields separated by tabs. None
 * of the fields can contain a tab or a newline (ids, numbers and fixed words), so nothing needs escaping, and a line that
 * was cut by a crash is recognised because it has no newline at its end.
 */
export type CallOutcome = (typeof schema.CALL_OUTCOMES)[number];

export interface CallRecord {
  readonly sequence: number;
  readonly id: string;
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

const FIELDS = 18;

/** The part of a record that is the same for every call of one key to one endpoint: made once and kept. */
export function callRecordSubject(
  holderId: string,
  billingAccountId: string,
  projectId: string,
  keyId: string,
  endpointId: string,
  mode: "live" | "test",
): string {
  return `${holderId}\t${billingAccountId}\t${projectId}\t${keyId}\t${endpointId}\t${mode}`;
}

/** @throws RangeError for a line that is not a record: a spool that cannot be read must not be dropped. */
export function parseCallRecord(line: string): CallRecord {
  const fields = line.split("\t");
  if (fields.length !== FIELDS) throw new RangeError(`A call record has ${FIELDS} fields, not ${fields.length}`);
  const [sequence, id, startedAtMs, holderId, billingAccountId, projectId, keyId, endpointId, mode, outcome, ...rest] =
    fields as [
      string,
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
    startedAtMs: Number(startedAtMs),
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
    !Number.isSafeInteger(record.chargedMicros) ||
    record.chargedMicros < 0
  ) {
    throw new RangeError(`Not a call record: ${line.slice(0, 80)}`);
  }
  return record;
}
