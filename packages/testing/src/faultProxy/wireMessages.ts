/**
 * The little of PostgreSQL's wire protocol (version 3, "Message Formats" in its manual) that the fault proxy reads: where
 * messages begin and end, what statements they carry, and the few messages it writes itself.
 */
export interface WireMessage {
  /** The type byte as a character; `startup` for those that a client sends before it has one. */
  readonly type: string;
  /** The whole message, as it goes over the wire. */
  readonly bytes: Buffer;
}

const TYPE_BYTES = 1;
const LENGTH_BYTES = 4;
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

/** Cuts a stream of bytes into messages. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0);
  #isStartup: boolean;

  /** @param isStartup whether the stream begins with a client's untyped startup messages */
  constructor(isStartup: boolean) {
    this.#isStartup = isStartup;
  }

  /** The messages that a chunk completes. */
  read(chunk: Buffer): WireMessage[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: WireMessage[] = [];
    for (let message = this.#next(); message; message = this.#next()) messages.push(message);
    return messages;
  }

  #next(): WireMessage | undefined {
    const header = this.#isStartup ? 0 : TYPE_BYTES;
    if (this.#rest.length < header + LENGTH_BYTES) return undefined;
    const size = header + this.#rest.readInt32BE(header);
    if (this.#rest.length < size) return undefined;
    const bytes = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(size);
    if (!this.#isStartup) return { type: String.fromCharCode(bytes[0] ?? 0), bytes };
    const message = { type: "startup", bytes };
    // After a request for encryption, which is refused, the client begins again.
    if (!isEncryptionRequest(message)) this.#isStartup = false;
    return message;
  }
}

export function isEncryptionRequest({ type, bytes }: WireMessage): boolean {
  return type === "startup" && bytes.length === 8 && [SSL_REQUEST, GSS_REQUEST].includes(bytes.readInt32BE(4));
}

/** The zero-terminated texts at the start of a message's body. */
export function readTexts({ bytes }: WireMessage, count: number): string[] {
  const texts: string[] = [];
  let start = TYPE_BYTES + LENGTH_BYTES;
  while (texts.length < count) {
    const end = bytes.indexOf(0, start);
    if (end < 0) break;
    texts.push(bytes.toString("utf8", start, end));
    start = end + 1;
  }
  return texts;
}

function encode(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(TYPE_BYTES + LENGTH_BYTES);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + LENGTH_BYTES, TYPE_BYTES);
  return Buffer.concat([head, body]);
}

export function queryMessage(sql: string): Buffer {
  return encode("Q", Buffer.from(`${sql}\0`, "utf8"));
}

/** `ErrorResponse` with its severity, code (SQLSTATE) and message. */
export function errorMessage(code: string, message: string): Buffer {
  return encode("E", Buffer.from(`SERROR\0VERROR\0C${code}\0M${message}\0\0`, "utf8"));
}

/** `ReadyForQuery`: I outside a transaction, T inside one, E inside a failed one. */
export function readyMessage(status: "I" | "T" | "E"): Buffer {
  return encode("Z", Buffer.from(status, "latin1"));
}

/** The status byte of a `ReadyForQuery`. */
export function readyStatus({ bytes }: WireMessage): string {
  return String.fromCharCode(bytes[TYPE_BYTES + LENGTH_BYTES] ?? 0);
}
