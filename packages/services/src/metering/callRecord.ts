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
 * journey a batch leaves out what its reader knows: a number that follows the last one, a subject that was in the batch
 * before (`=` and its number there), and draws that are those of that subject's last call (`=`). It is two thirds of a record.
 */
const FIELD_SEPARATOR = " ";
const SUBJECT_END = "|";
const REFERENCE = "=";
export const RECORD_SEPARATOR = ";";

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

/**
 * As a job, a batch stays below 128 KiB: longer texts the engine keeps in pages of their own, and whoever makes one pays ten
 * times as much a character.
 */
const BATCH_CHARACTERS_MAX = 128_000;

export interface FilledBatch {
  readonly text: string;
  /** How many they are. */
  readonly calls: number;
}

/**
 * A batch of the first of the records: as many of them as fit, and one in any case.
 * @param records with numbers that have no gaps
 */
export function fillCallBatch(records: readonly string[], charactersMax = BATCH_CHARACTERS_MAX): FilledBatch {
  const known = new Map<string, { readonly number: number; draws: string }>();
  let text = "";
  let calls = 0;
  for (const record of records) {
    const id = record.indexOf(FIELD_SEPARATOR) + 1;
    const start = record.indexOf(FIELD_SEPARATOR, id) + 1;
    const end = record.indexOf(SUBJECT_END, start);
    const last = record.lastIndexOf(FIELD_SEPARATOR) + 1;
    const subject = record.slice(start, end);
    const draws = record.slice(last);
    const before = known.get(subject);
    const named = before === undefined ? subject : `${REFERENCE}${before.number}`;
    const drawn = before?.draws === draws && draws !== "" ? REFERENCE : draws;
    const short = `${record.slice(calls === 0 ? 0 : id, start)}${named}${record.slice(end, last)}${drawn}`;
    if (calls > 0 && text.length + RECORD_SEPARATOR.length + short.length > charactersMax) break;
    text += calls === 0 ? short : RECORD_SEPARATOR + short;
    calls += 1;
    if (before === undefined) known.set(subject, { number: known.size, draws });
    else before.draws = draws;
  }
  return { text, calls };
}

/** A subject with the draws of its last call. */
interface KnownSubject extends CallSubject {
  draws: string;
}

/** The records of a batch. @throws RangeError for one that cannot be read: a spool that cannot be read must not be dropped. */
export function parseCallRecords(records: string): CallRecord[] {
  const subjects: KnownSubject[] = [];
  const parsed: CallRecord[] = [];
  let sequence = Number.NaN;
  for (const text of records.split(RECORD_SEPARATOR)) {
    const fields = new Fields(text);
    sequence = fields.isAtNumber ? fields.nextNumber() : sequence + 1;
    if (Number.isNaN(sequence)) throw fields.unreadable();
    parsed.push(parseCallRecord(sequence, fields, subjects));
  }
  return parsed;
}

function parseCallRecord(sequence: number, fields: Fields, subjects: KnownSubject[]): CallRecord {
  const id = fields.next();
  const subject = readSubject(fields, subjects);
  const record: CallRecord = {
    sequence,
    id,
    startedAtMs: callStartedAtMs(id),
    holderId: subject.holderId,
    billingAccountId: subject.billingAccountId,
    projectId: subject.projectId,
    keyId: subject.keyId,
    endpointId: subject.endpointId,
    mode: subject.mode,
    outcome: fields.next() as CallOutcome,
    status: fields.nextNumber(),
    latencyMs: fields.nextNumber(),
    units: fields.nextNumber(),
    unitPriceMicros: fields.nextNumber(),
    chargedMicros: fields.nextNumber(),
    requestBytes: fields.nextNumber(),
    responseBytes: fields.nextNumber(),
    draws: readDraws(fields, subject),
  };
  if (!Number.isSafeInteger(record.startedAtMs)) throw fields.unreadable();
  return record;
}

/** The subject that a record names, or the one before that it refers to. */
function readSubject(fields: Fields, subjects: KnownSubject[]): KnownSubject {
  if (fields.skip(REFERENCE)) {
    const subject = subjects[fields.nextNumber(SUBJECT_END)];
    if (subject === undefined) throw fields.unreadable();
    return subject;
  }
  const subject: KnownSubject = {
    holderId: fields.next(),
    billingAccountId: fields.next(),
    projectId: fields.next(),
    keyId: fields.next(),
    endpointId: fields.next(),
    mode: fields.next(SUBJECT_END) as "live" | "test",
    draws: "",
  };
  subjects.push(subject);
  return subject;
}

function readDraws(fields: Fields, subject: KnownSubject): string {
  const draws = fields.rest();
  if (draws !== REFERENCE) subject.draws = draws;
  else if (subject.draws === "") throw fields.unreadable();
  return subject.draws;
}

/** Reads the fields of a record one after the other: without a list of them, which takes twice as long to make as to read. */
class Fields {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtNumber(): boolean {
    const digit = this.#text.charCodeAt(this.#at) - 48;
    return digit >= 0 && digit <= 9;
  }

  /** @throws RangeError when a field is empty or does not end, as in a record that was cut */
  next(end = FIELD_SEPARATOR): string {
    const until = this.#text.indexOf(end, this.#at);
    if (until <= this.#at) throw this.unreadable();
    const field = this.#text.slice(this.#at, until);
    this.#at = until + 1;
    return field;
  }

  /** A whole number, not negative. @throws RangeError */
  nextNumber(end = FIELD_SEPARATOR): number {
    const text = this.#text;
    const start = this.#at;
    let number = 0;
    let at = start;
    for (;;) {
      const digit = text.charCodeAt(at) - 48;
      // What follows the last character is not a number, and compares as false.
      if (!(digit >= 0 && digit <= 9)) break;
      number = number * 10 + digit;
      at += 1;
    }
    if (at === start || text[at] !== end || !Number.isSafeInteger(number)) throw this.unreadable();
    this.#at = at + 1;
    return number;
  }

  /** Passes over a character if it is the next one. */
  skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  /** The last field, which may be empty. @throws RangeError if it was not the last one */
  rest(): string {
    const field = this.#text.slice(this.#at);
    if (field.includes(FIELD_SEPARATOR)) throw this.unreadable();
    return field;
  }

  unreadable(): RangeError {
    return new RangeError(`Not a call record: ${this.#text.slice(0, 80)}`);
  }
}
