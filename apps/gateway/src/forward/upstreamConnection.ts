import type { Socket } from "node:net";
import { connect } from "node:net";
import { AnswerParser } from "./answerParser.ts";

/** A request without a body, as it goes out. */
export interface PlainRequest {
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** Milliseconds until the answer's head. */
  readonly headersTimeout: number;
}

/** Told what becomes of a request: the same as undici's handlers with raw headers. */
export interface AnswerHandler {
  onConnect(abort: (error?: Error) => void): void;
  onHeaders(status: number, headers: string[], resume: () => void, reason: string): boolean;
  /** @returns whether more may come before `resume` is called */
  onData(chunk: Buffer): boolean;
  onComplete(trailers: string[]): void;
  onError(error: Error): void;
}

/** Where connections of one instance come from and go to. */
export interface ConnectionOwner {
  readonly port: number;
  readonly hostname: string;
  /** The `Host` of requests. */
  readonly host: string;
  /** The connection may be used again. */
  onFree(connection: UpstreamConnection): void;
  onClosed(connection: UpstreamConnection): void;
}

/** How often {@link UpstreamConnection.sweep} is to be called: times are kept in such steps. */
export const SWEEP_MS = 100;
const CONNECT_MS = 1_000;
const BODY_MS = 300_000;
const IDLE_MS = 30_000;
/** Taken off what an upstream says: its clock began before ours. */
const IDLE_MARGIN_MS = 1_000;
/** Of 16, 32, 48, 64 and 128 KiB, the one with which long answers took the least processor time. */
const READ_BYTES = 32 * 1024;
const WITH_LENGTH = new Set(["POST", "PUT", "PATCH"]);
const NOT_IN_PATH = /[^\x21-\xff]/;
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** All connections read into one buffer: what has come is looked at before anything else does, and bodies are copied out. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code });
/** A time in steps of {@link SWEEP_MS}, none of it too short. */
export const steps = (ms: number): number => Math.ceil(ms / SWEEP_MS) + 1;

/** A keep-alive connection to an instance, over which one request is under way at a time. */
export class UpstreamConnection {
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser = new AnswerParser(this);
  readonly #abort = (error: Error = failure("ABORTED", "Given up")): void => {
    if (this.#isOffering) this.#decline(error);
    else this.#fail(error);
  };
  readonly #resume = (): void => {
    this.#isPaused = false;
    this.#socket.resume();
  };
  #handler: AnswerHandler | undefined;
  #stepsLeft = 0;
  #headSteps = 0;
  /** What has taken too long when no steps are left. */
  #awaited: "connection" | "head" | "body" | "request" = "connection";
  #request: PlainRequest | undefined;
  /** A request is offered to go out, and nothing of it has. */
  #isOffering = false;
  #isPaused = false;
  #isLastRequest = false;
  #isClosed = false;

  constructor(owner: ConnectionOwner) {
    this.#owner = owner;
    this.#socket = connect({
      host: owner.hostname,
      port: owner.port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length) => this.#onRead(length) },
    });
    this.#await("connection", CONNECT_MS);
    this.#socket.once("connect", () => this.#send());
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("end", () => this.#onEnded());
    this.#socket.on("close", () => this.#fail(failure("CLOSED", "The upstream closed the connection")));
  }

  /**
   * Sends a request, once there is a connection. Only when none is under way.
   * @param headSteps until its answer's head, in steps of {@link SWEEP_MS}
   */
  run(request: PlainRequest, handler: AnswerHandler, headSteps: number): void {
    this.#handler = handler;
    this.#headSteps = headSteps;
    this.#request = request;
    if (!this.#socket.connecting) this.#send();
  }

  /** To be called every {@link SWEEP_MS}: gives up what takes too long. */
  sweep(): void {
    // A client that reads slowly is nothing that the upstream could help.
    if (this.#isPaused) return;
    this.#stepsLeft -= 1;
    if (this.#stepsLeft > 0) return;
    switch (this.#awaited) {
      case "connection":
        this.#fail(failure("CONNECT_TIMEOUT", "No connection in time"));
        return;
      case "head":
        this.#fail(failure("HEADERS_TIMEOUT", "No answer in time"));
        return;
      case "body":
        this.#fail(failure("BODY_TIMEOUT", "The answer does not go on"));
        return;
      case "request":
        this.close();
    }
  }

  close(): void {
    this.#fail(failure("CLOSED", "Closed"));
  }

  #await(what: "connection" | "head" | "body" | "request", ms: number): void {
    this.#awaited = what;
    this.#stepsLeft = steps(ms);
  }

  #send(): void {
    const request = this.#request;
    const handler = this.#handler;
    if (request === undefined || handler === undefined) return;
    this.#request = undefined;
    const head = this.#headOf(request);
    if (head === undefined) {
      this.#fail(failure("INVALID_REQUEST", "The request has what HTTP does not allow"));
      return;
    }
    this.#isOffering = true;
    handler.onConnect(this.#abort);
    if (!this.#isOffering) return;
    this.#isOffering = false;
    this.#parser.expect(request.method === "HEAD");
    this.#awaited = "head";
    this.#stepsLeft = this.#headSteps;
    this.#socket.write(head, "latin1");
  }

  /** Whoever wanted it has left meanwhile: the connection is as good as before. */
  #decline(error: Error): void {
    this.#isOffering = false;
    const handler = this.#handler;
    this.#handler = undefined;
    this.#isLastRequest = false;
    this.#rest();
    handler?.onError(error);
  }

  #headOf({ method, path, headers }: PlainRequest): string | undefined {
    if (NOT_IN_PATH.test(path)) return undefined;
    // Some servers answer HEAD with a body, which nobody must take for the next answer.
    this.#isLastRequest = method === "HEAD";
    let head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#owner.host}\r\nconnection: ${this.#isLastRequest ? "close" : "keep-alive"}\r\n`;
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] as string;
      const value = headers[index + 1] as string;
      if (NOT_IN_VALUE.test(value)) return undefined;
      if (name.length === 14 && name.toLowerCase() === "content-length") continue;
      head += `${name}: ${value}\r\n`;
    }
    return WITH_LENGTH.has(method) ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`;
  }

  /** @returns whether more should be read */
  #onRead(length: number): boolean {
    if (this.#isClosed) return false;
    try {
      this.#parser.read(readBuffer.subarray(0, length));
    } catch (error) {
      this.#fail(error as Error);
      return false;
    }
    if (this.#handler !== undefined) return !this.#isPaused;
    if (!this.#parser.isPersistent || this.#isLastRequest) this.close();
    else if (!this.#isClosed && this.#awaited !== "request") this.#rest();
    return !this.#isClosed;
  }

  #rest(): void {
    const said = this.#parser.keepAliveSeconds;
    const idleMs = said < 0 ? IDLE_MS : Math.min(IDLE_MS, said * 1_000 - IDLE_MARGIN_MS);
    if (idleMs <= 0) {
      this.close();
      return;
    }
    this.#await("request", idleMs);
    this.#owner.onFree(this);
  }

  #onEnded(): void {
    try {
      this.#parser.end();
      this.close();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  onHead(status: number, headers: string[], reason: string): void {
    this.#await("body", BODY_MS);
    this.#handler?.onHeaders(status, headers, this.#resume, reason);
  }

  onBody(chunk: Buffer): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#stepsLeft = steps(BODY_MS);
    if (!handler.onData(Buffer.from(chunk))) this.#isPaused = true;
  }

  onEnd(trailers: string[]): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#isPaused = false;
    handler?.onComplete(trailers);
  }

  #fail(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    const handler = this.#handler;
    this.#handler = undefined;
    this.#owner.onClosed(this);
    handler?.onError(error);
  }
}
