/**
 * Reads answers of HTTP/1.1 (RFC 9112) from a connection as their bytes come. It takes what the grammar allows and nothing
 * else: where it is not certain how long an answer is, or what a header says, there is no answer. So nobody's bytes can be
 * taken for a part of somebody else's answer.
 */
export interface AnswerReceiver {
  /** @param headers names and values in turn, as they were spelled */
  onHead(status: number, headers: string[], reason: string): void;
  /** @param chunk a view of what was given to {@link AnswerParser.read}: not to be kept */
  onBody(chunk: Buffer): void;
  /** @param trailers names and values in turn */
  onEnd(trailers: string[]): void;
}

/** The upstream does not speak HTTP/1.1 as it is written. */
export class BadAnswerError extends Error {
  readonly code = "BAD_ANSWER";
}

type State = "unasked" | "head" | "length" | "close" | "chunk-size" | "chunk" | "chunk-end" | "trailers";

const HEAD_BYTES_MAX = 16_384;
const CHUNK_LINE_BYTES_MAX = 1_024;
const LINE_END = "\r\n";
const HEAD_END = "\r\n\r\n";
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n\0]*))?$/;
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What may not be in a field's value (RFC 9110, section 5.5); node would not send it on either. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const CHUNK_SIZE = /^([0-9a-fA-F]{1,12})[\t ]*(?:;[^\r\n\0]*)?$/;
const LENGTH = /^[0-9]{1,15}$/;
const NO_TRAILERS: string[] = [];

export class AnswerParser {
  readonly #receiver: AnswerReceiver;
  #state: State = "unasked";
  /** What has come of a head or of a line whose end has not. */
  #begun: Buffer | undefined;
  /** Bytes of the body, or of its present chunk, that are to come. */
  #left = 0;
  #isHeadRequest = false;
  #isPersistent = false;
  #keepAliveSeconds = -1;

  constructor(receiver: AnswerReceiver) {
    this.#receiver = receiver;
  }

  /** Whether the connection may be used again after this answer. */
  get isPersistent(): boolean {
    return this.#isPersistent;
  }

  /** How long the upstream says that it keeps an idle connection, or -1. */
  get keepAliveSeconds(): number {
    return this.#keepAliveSeconds;
  }

  /** A request goes out: its answer may come. */
  expect(isHeadRequest: boolean): void {
    this.#state = "head";
    this.#isHeadRequest = isHeadRequest;
    this.#isPersistent = false;
    this.#keepAliveSeconds = -1;
  }

  /** @throws BadAnswerError */
  read(bytes: Buffer): void {
    const data = this.#begun === undefined ? bytes : Buffer.concat([this.#begun, bytes]);
    this.#begun = undefined;
    let offset = 0;
    while (offset < data.length) {
      const next = this.#readSome(data, offset);
      if (next === -1) {
        // The bytes are the reader's, which will overwrite them.
        this.#begun = Buffer.from(data.subarray(offset));
        return;
      }
      offset = next;
    }
  }

  /** The connection has ended. @throws BadAnswerError when that is not the end of an answer */
  end(): void {
    if (this.#state !== "close") throw new BadAnswerError("The connection ended before the answer did");
    this.#finish(NO_TRAILERS);
  }

  /** @returns where to read on, or -1 when more must come first */
  #readSome(data: Buffer, offset: number): number {
    switch (this.#state) {
      case "unasked":
        throw new BadAnswerError("More came than was asked for");
      case "head":
        return this.#readHead(data, offset);
      case "length":
      case "chunk":
        return this.#readBody(data, offset);
      case "close":
        this.#receiver.onBody(offset === 0 ? data : data.subarray(offset));
        return data.length;
      case "chunk-size":
        return this.#readChunkSize(data, offset);
      case "chunk-end":
        return this.#readChunkEnd(data, offset);
      case "trailers":
        return this.#readTrailers(data, offset);
    }
  }

  #readHead(data: Buffer, offset: number): number {
    const end = data.indexOf(HEAD_END, offset, "latin1");
    if ((end === -1 ? data.length : end) - offset > HEAD_BYTES_MAX) throw new BadAnswerError("The head is too large");
    if (end === -1) return -1;
    const text = data.toString("latin1", offset, end);
    const lineEnd = text.indexOf(LINE_END);
    const line = STATUS_LINE.exec(lineEnd === -1 ? text : text.slice(0, lineEnd));
    if (line === null) throw new BadAnswerError("Not a status line of HTTP/1.1");
    const status = Number(line[2]);
    const fields = lineEnd === -1 ? [] : readFields(text, lineEnd + LINE_END.length);
    if (status < 200) {
      // Nobody asked for another protocol here. Other interim answers are news about the one that is still to come.
      if (status === 101) throw new BadAnswerError("Another protocol was not asked for");
      return end + HEAD_END.length;
    }
    const isEmpty = this.#frame(status, fields, line[1] === "1");
    this.#receiver.onHead(status, fields, line[3] ?? "");
    if (isEmpty) this.#finish(NO_TRAILERS);
    return end + HEAD_END.length;
  }

  /** How long the body is (RFC 9112, section 6.3), and whether the connection outlives it. @returns whether there is none */
  #frame(status: number, fields: readonly string[], isHttp11: boolean): boolean {
    let length = -1;
    let isChunked = false;
    let connection = "";
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index] as string;
      // Most names have none of these lengths, and need no copy in lower case.
      if (name.length !== 10 && name.length !== 14 && name.length !== 17) continue;
      const value = fields[index + 1] as string;
      switch (name.toLowerCase()) {
        case "content-length":
          if (length !== -1 || !LENGTH.test(value)) throw new BadAnswerError("Not one length");
          length = Number(value);
          break;
        case "transfer-encoding":
          if (isChunked || value.toLowerCase() !== "chunked")
            throw new BadAnswerError("Not a coding that is known here");
          isChunked = true;
          break;
        case "connection":
          connection += `,${value.toLowerCase()}`;
          break;
        case "keep-alive":
          this.#keepAliveSeconds = Number(/(?:^|[\s,;])timeout=([0-9]{1,6})/i.exec(value)?.[1] ?? -1);
          break;
      }
    }
    if (isChunked && (length !== -1 || !isHttp11)) throw new BadAnswerError("Two ways to find the end");
    this.#isPersistent = isHttp11 ? !connection.includes("close") : connection.includes("keep-alive");
    if (this.#isHeadRequest || status === 204 || status === 304) return true;
    if (isChunked) this.#state = "chunk-size";
    else if (length === -1) {
      this.#state = "close";
      this.#isPersistent = false;
    } else {
      this.#state = "length";
      this.#left = length;
    }
    return length === 0;
  }

  #readBody(data: Buffer, offset: number): number {
    const end = Math.min(data.length, offset + this.#left);
    this.#left -= end - offset;
    const isEnd = this.#left === 0;
    const isOfLength = this.#state === "length";
    if (isEnd && !isOfLength) this.#state = "chunk-end";
    this.#receiver.onBody(offset === 0 && end === data.length ? data : data.subarray(offset, end));
    if (isEnd && isOfLength) this.#finish(NO_TRAILERS);
    return end;
  }

  #readChunkSize(data: Buffer, offset: number): number {
    const end = data.indexOf(LINE_END, offset, "latin1");
    if ((end === -1 ? data.length : end) - offset > CHUNK_LINE_BYTES_MAX)
      throw new BadAnswerError("Not a chunk's size");
    if (end === -1) return -1;
    const size = CHUNK_SIZE.exec(data.toString("latin1", offset, end))?.[1];
    if (size === undefined) throw new BadAnswerError("Not a chunk's size");
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk";
    return end + LINE_END.length;
  }

  #readChunkEnd(data: Buffer, offset: number): number {
    if (data.length - offset < LINE_END.length) return -1;
    if (data.toString("latin1", offset, offset + LINE_END.length) !== LINE_END)
      throw new BadAnswerError("A chunk has no end");
    this.#state = "chunk-size";
    return offset + LINE_END.length;
  }

  #readTrailers(data: Buffer, offset: number): number {
    if (data.length - offset < LINE_END.length) return -1;
    if (data.toString("latin1", offset, offset + LINE_END.length) === LINE_END) {
      this.#finish(NO_TRAILERS);
      return offset + LINE_END.length;
    }
    const end = data.indexOf(HEAD_END, offset, "latin1");
    if ((end === -1 ? data.length : end) - offset > HEAD_BYTES_MAX)
      throw new BadAnswerError("The trailers are too large");
    if (end === -1) return -1;
    this.#finish(readFields(data.toString("latin1", offset, end), 0));
    return end + HEAD_END.length;
  }

  #finish(trailers: string[]): void {
    this.#state = "unasked";
    this.#receiver.onEnd(trailers);
  }
}

/** Names and values of the lines of a text from an offset on. Folded lines are not taken (RFC 9112, section 5.2). */
function readFields(text: string, from: number): string[] {
  const fields: string[] = [];
  for (let offset = from; offset < text.length; ) {
    const found = text.indexOf(LINE_END, offset);
    const end = found === -1 ? text.length : found;
    const colon = text.indexOf(":", offset);
    if (colon === -1 || colon >= end) throw new BadAnswerError("A line of the head is no header");
    const name = text.slice(offset, colon);
    const value = withoutBlanks(text, colon + 1, end);
    if (!TOKEN.test(name) || NOT_IN_VALUE.test(value)) throw new BadAnswerError("A line of the head is no header");
    fields.push(name, value);
    offset = end + LINE_END.length;
  }
  return fields;
}

/** A part of a text without the blanks around it: spaces and tabs, and nothing else that looks like one. */
function withoutBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
