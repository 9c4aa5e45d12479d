import type { Socket } from "node:net";
import { connect } from "node:net";

/** Told of everything that comes over a connection. */
export interface ConnectionOwner {
  onAnswer(connection: Connection, status: number): void;
  onLost(connection: Connection, reason: string): void;
}

const READ_BYTES = 64 * 1024;
const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "0\r\n\r\n";
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

/**
 * A keep-alive connection with one request under way at a time. Answers are read no further than it takes to know their
 * status and their end: the load generator must cost less than what it measures.
 */
export class Connection {
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  #received = "";
  /** Length of the whole answer, -1 until its head is there, and -2 when it comes in chunks. */
  #expected = -1;
  #isClosing = false;
  /** When the request under way was due, by `performance.now()`. */
  dueAtMs = 0;

  constructor(port: number, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).toString("latin1", 0, length));
          return true;
        },
      },
    });
    this.#socket.on("error", (error) => this.#lost(error.message));
    this.#socket.on("close", () => this.#lost("closed by the server"));
  }

  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once("connect", resolve);
      this.#socket.once("error", reject);
    });
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }

  #read(text: string): void {
    const received = this.#received === "" ? text : this.#received + text;
    if (this.#expected === -1) this.#expected = lengthOf(received);
    const isWhole =
      this.#expected === -2 ? received.endsWith(LAST_CHUNK) : this.#expected >= 0 && received.length >= this.#expected;
    if (!isWhole) {
      this.#received = received;
      return;
    }
    this.#received = "";
    this.#expected = -1;
    // "HTTP/1.1 200 OK"
    this.#owner.onAnswer(this, Number(received.slice(9, 12)));
  }

  #lost(reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#owner.onLost(this, reason);
  }
}

/** @throws Error for an answer whose end could not be known */
function lengthOf(received: string): number {
  const headEnd = received.indexOf(HEAD_END);
  if (headEnd === -1) return -1;
  const length = CONTENT_LENGTH.exec(received);
  if (length !== null) return headEnd + HEAD_END.length + Number(length[1]);
  if (CHUNKED.test(received)) return -2;
  throw new Error(`An answer without a length: ${received.slice(0, headEnd)}`);
}
