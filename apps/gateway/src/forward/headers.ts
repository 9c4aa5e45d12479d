/**
 * Headers on their way through. Hop-by-hop headers (RFC 9110, section 7.6.1) end here in both directions, and so does the
 * caller's key.
 */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

const NOT_TO_UPSTREAM = new Set([
  ...HOP_BY_HOP,
  "authorization",
  "expect",
  "host",
  "traceparent",
  // Who calls is the token's to say; what a caller says of itself here would be believed.
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

const NOT_TO_CLIENT = new Set([...HOP_BY_HOP, "ratelimit", "ratelimit-policy"]);

/** What is said under these names is the gateway's to say, to either side. */
const OWN_PREFIX = "tollgate-";

/** Whether a header of this spelling stops here; spellings that were seen are kept, as there are few. */
class HeaderFilter {
  readonly #stopped: ReadonlySet<string>;
  readonly #seen = new Map<string, boolean>();

  constructor(stopped: ReadonlySet<string>) {
    this.#stopped = stopped;
  }

  stops(name: string): boolean {
    const seen = this.#seen.get(name);
    if (seen !== undefined) return seen;
    const lower = name.toLowerCase();
    const stops = this.#stopped.has(lower) || lower.startsWith(OWN_PREFIX);
    if (this.#seen.size < 1_000) this.#seen.set(name, stops);
    return stops;
  }
}

const toUpstream = new HeaderFilter(NOT_TO_UPSTREAM);
const toClient = new HeaderFilter(NOT_TO_CLIENT);

/**
 * The request's headers without what stops here; `connection` may name more that do. A header that says the caller's key
 * stops as well, whatever its name.
 */
export function requestHeaders(
  rawHeaders: readonly string[],
  connection: string | undefined,
  key: string | undefined,
): string[] {
  const named = namedByConnection(connection);
  const headers: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (toUpstream.stops(name) || named?.has(name.toLowerCase()) === true) continue;
    const value = rawHeaders[index + 1] as string;
    if (key !== undefined && value.length >= key.length && value.includes(key)) continue;
    headers.push(name, value);
  }
  return headers;
}

/** What an answer's head says to the gateway itself. */
export interface AnswerHead {
  /** For the client: without what stops here. */
  readonly headers: string[];
  /** The length of the body, or -1 if the answer does not say. */
  readonly contentLength: number;
  /** The units that the upstream counted, or -1. */
  readonly units: number;
}

const textOf = (part: Buffer | string): string => (typeof part === "string" ? part : part.toString("latin1"));

/** Reads an answer's head as the client's parser gives it. */
export function readAnswerHead(rawHeaders: readonly (Buffer | string)[]): AnswerHead {
  const headers: string[] = [];
  let contentLength = -1;
  let units = -1;
  let connection: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = textOf(rawHeaders[index] as Buffer | string);
    const value = textOf(rawHeaders[index + 1] as Buffer | string);
    if (toClient.stops(name)) {
      const lower = name.toLowerCase();
      if (lower === "tollgate-units" && /^\d{1,15}$/.test(value)) units = Number(value);
      else if (lower === "connection") connection = value;
      continue;
    }
    if (name.length === 14 && name.toLowerCase() === "content-length") contentLength = Number(value);
    headers.push(name, value);
  }
  const named = namedByConnection(connection);
  return { headers: named === undefined ? headers : without(headers, named), contentLength, units };
}

/** Whether a list of names and values has a name, given in lower case. */
export function hasHeader(headers: readonly string[], name: string): boolean {
  for (let index = 0; index < headers.length; index += 2) if (headers[index]?.toLowerCase() === name) return true;
  return false;
}

function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return undefined;
  const names = connection.split(",").map((name) => name.trim().toLowerCase());
  const others = names.filter((name) => name !== "keep-alive" && name !== "close" && name !== "");
  return others.length === 0 ? undefined : new Set(others);
}

function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if (!names.has((headers[index] as string).toLowerCase())) {
      kept.push(headers[index] as string, headers[index + 1] as string);
    }
  }
  return kept;
}
