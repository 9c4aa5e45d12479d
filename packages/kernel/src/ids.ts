import { randomFillSync } from "node:crypto";

/**
 * Ids are a prefix that names the kind and 22 random base62 characters (131 bits). They are random, not sequential:
 * sequential ids would send every insert of a CockroachDB cluster to the same range.
 */
export const ID_PREFIXES = {
  customer: "cus",
  billingAccount: "ba",
  project: "prj",
  key: "key",
  api: "api",
  endpoint: "ep",
  price: "prc",
  grant: "grt",
  transaction: "txn",
  entry: "ent",
  invoice: "inv",
  payment: "pay",
  subscription: "sub",
  webhookEndpoint: "whk",
  webhookDelivery: "whd",
  notification: "ntf",
  alertRule: "arl",
  alert: "alt",
  alertMessage: "alm",
  event: "evt",
  job: "job",
  session: "ses",
  audit: "aud",
  email: "eml",
  call: "call",
  request: "req",
  gateway: "gw",
  verification: "ver",
  invite: "ivt",
  signingKey: "sig",
  export: "exp",
  paymentDifference: "pdf",
  secret: "sct",
  settingChange: "chg",
  parkedEvent: "pkd",
  incident: "inc",
  incidentUpdate: "inu",
  selfTest: "slf",
  analyticsDelivery: "anl",
  dataDeletion: "ddl",
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARACTERS = 22;

// Characters are drawn thousands at a time: an id is then a slice, which is ten times faster than putting it together.
const POOL_BYTES = 16_384;
const randomBytes = Buffer.allocUnsafe(POOL_BYTES);
const characterCodes = Buffer.from(ALPHABET, "latin1");
let pool = "";
let poolOffset = 0;

/**
 * Random base62 text of a given length from the operating system's generator. Bytes of 248 and above are thrown away, so
 * every character is equally likely (no modulo bias).
 */
export function randomBase62(length: number): string {
  if (poolOffset + length > pool.length) {
    pool = drawCharacters(length);
    poolOffset = 0;
  }
  const text = pool.slice(poolOffset, poolOffset + length);
  poolOffset += length;
  return text;
}

/** Some thousands of characters, and at least so many. */
function drawCharacters(atLeast: number): string {
  let text = "";
  do {
    randomFillSync(randomBytes);
    let kept = 0;
    for (let index = 0; index < POOL_BYTES; index += 1) {
      const byte = randomBytes[index] as number;
      if (byte < 248) randomBytes[kept++] = characterCodes[byte % 62] as number;
    }
    text += randomBytes.toString("latin1", 0, kept);
  } while (text.length < atLeast);
  return text;
}

/** A new id of a kind, for example `prj_4fD…`. A call's says when it began: {@link newCallId}. */
export function newId(kind: Exclude<IdKind, "call">): string {
  return `${ID_PREFIXES[kind]}_${randomBase62(RANDOM_CHARACTERS)}`;
}

const TIME_CHARACTERS = 8;
/** What each character stands for, by its code. */
const VALUES: readonly number[] = Array.from({ length: 128 }, (_, code) => {
  const value = ALPHABET.indexOf(String.fromCharCode(code));
  return value === -1 ? Number.NaN : value;
});
let timeMs = -1;
let timeText = "";

/**
 * The id of a call that began then: the millisecond in 8 base62 characters, and 14 random ones (83 bits). So a call is
 * found by its id alone without an index of ids, in which every call would be written to another place.
 */
export function newCallId(startedAtMs: number): string {
  if (startedAtMs !== timeMs) {
    timeMs = startedAtMs;
    timeText = `${ID_PREFIXES.call}_${toBase62(startedAtMs).padStart(TIME_CHARACTERS, "0")}`;
  }
  return timeText + randomBase62(RANDOM_CHARACTERS - TIME_CHARACTERS);
}

/** When a call began, by its id; not a number for what cannot be a call's id. */
export function callStartedAtMs(callId: string): number {
  const start = ID_PREFIXES.call.length + 1;
  let startedAtMs = 0;
  for (let index = start; index < start + TIME_CHARACTERS; index += 1) {
    startedAtMs = startedAtMs * ALPHABET.length + (VALUES[callId.charCodeAt(index)] ?? Number.NaN);
  }
  return startedAtMs;
}

function toBase62(number: number): string {
  let text = "";
  for (let rest = number; rest > 0; rest = Math.floor(rest / ALPHABET.length)) {
    text = ALPHABET.charAt(rest % ALPHABET.length) + text;
  }
  return text;
}

/** A pattern that ids of a kind match; for input schemas. Case-sensitive, 8 to 40 characters after the prefix. */
export function idPattern(kind: IdKind): RegExp {
  return new RegExp(`^${ID_PREFIXES[kind]}_[0-9A-Za-z]{8,40}$`);
}
