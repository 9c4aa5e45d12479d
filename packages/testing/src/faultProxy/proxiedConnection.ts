import type { Socket } from "node:net";
import type { Gate } from "./gate.ts";
import { isCommit, StatementTracker } from "./statementTracker.ts";
import type { WireMessage } from "./wireMessages.ts";
import {
  errorMessage,
  isEncryptionRequest,
  MessageReader,
  queryMessage,
  readyMessage,
  readyStatus,
} from "./wireMessages.ts";

/** What shall happen to a statement that a client is about to run. */
export type Verdict = "pass" | "cutBefore" | "cutAfter" | "fail";

/** Asked once for every statement, at the moment it would run. */
export type Judge = (text: string) => Verdict;

/**
 * The server answers every query and every Sync with messages that end in ReadyForQuery: one answer. This says what
 * becomes of it: `relay` goes to the client whole, `withoutReady` but for its end, `none` not at all; `cut` ends the
 * connection when the answer is complete. What is to be told to the client instead follows it.
 */
interface Answer {
  readonly kind: "relay" | "withoutReady" | "none" | "cut";
  readonly instead?: Buffer;
}

/** SQLSTATE of a serialization failure. */
const SERIALIZATION_FAILURE = "40001";
/** Puts a transaction into the failed state in which a real serialization failure would leave it. */
const FAILING_SQL = "select tollgate_injected_failure()";

/** One client's connection, relayed message by message. */
export class ProxiedConnection {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #judge: Judge;
  readonly #fromClient = new MessageReader(true);
  readonly #fromServer = new MessageReader(false);
  readonly #tracker = new StatementTracker();
  /** The first is that to the startup. */
  readonly #answers: Answer[] = [{ kind: "relay" }];
  #status = "I";
  /** Set between an Execute that must not run, or must be the last, and the Sync that ends its series. */
  #pending: { verdict: "cutAfter" | "fail"; text: string } | undefined;
  #isOver = false;

  constructor(client: Socket, server: Socket, gate: Gate, judge: Judge) {
    this.#client = client;
    this.#server = server;
    this.#judge = judge;
    client.setNoDelay(true);
    server.setNoDelay(true);
    this.#pump(client, gate, (chunk) => this.#readClient(chunk));
    this.#pump(server, gate, (chunk) => this.#readServer(chunk));
  }

  /** Ends both sides at once: the client sees a reset, the server a client that is gone. */
  cut(): void {
    this.#isOver = true;
    this.#client.resetAndDestroy();
    this.#server.destroy();
  }

  /** Hands on chunks and the end of a side in order, each when the gate lets it through. */
  #pump(from: Socket, gate: Gate, read: (chunk: Buffer) => void): void {
    const to = from === this.#client ? this.#server : this.#client;
    let line: Promise<void> = Promise.resolve();
    const enqueue = (work: () => void): void => {
      line = line.then(async () => {
        await gate.pass();
        if (!this.#isOver) work();
      });
    };
    from.on("data", (chunk: Buffer) => enqueue(() => read(chunk)));
    from.on("end", () => enqueue(() => to.end()));
    // A side that breaks ends the other as abruptly.
    from.on("error", () => this.cut());
    from.on("close", () => enqueue(() => to.end()));
  }

  #readClient(chunk: Buffer): void {
    for (const message of this.#fromClient.read(chunk)) {
      if (this.#isOver) return;
      if (isEncryptionRequest(message)) this.#client.write("N");
      else if (this.#pending?.verdict === "fail") this.#discardUntilSync(message, this.#pending.text);
      else this.#forward(message);
    }
  }

  #forward(message: WireMessage): void {
    const text = this.#tracker.note(message);
    const verdict = text === undefined ? "pass" : this.#judge(text);
    if (verdict === "cutBefore") {
      this.cut();
      return;
    }
    if (message.type === "Q") {
      if (verdict === "fail") {
        this.#failInstead(text ?? "");
        return;
      }
      this.#answers.push({ kind: verdict === "cutAfter" ? "cut" : "relay" });
    } else if (message.type === "S") {
      this.#answers.push({ kind: this.#pending ? "cut" : "relay" });
      this.#pending = undefined;
    } else if (verdict !== "pass") {
      this.#pending = { verdict, text: text ?? "" };
      if (verdict === "fail") return;
    }
    this.#server.write(message.bytes);
  }

  /** After an error the server takes no more messages of a series, so neither do we; its Sync gets the error. */
  #discardUntilSync(message: WireMessage, text: string): void {
    if (message.type !== "S") return;
    this.#pending = undefined;
    // What came before the failed Execute (Parse, Bind) is answered as ever.
    this.#answers.push({ kind: "withoutReady" });
    this.#server.write(message.bytes);
    this.#failInstead(text);
  }

  /** Undoes the transaction on the server as a serialization failure would, and tells the client of one. */
  #failInstead(text: string): void {
    const isEnding = isCommit(text);
    const failure = errorMessage(SERIALIZATION_FAILURE, "could not serialize access (injected)");
    const status = isEnding || this.#status === "I" ? "I" : "E";
    this.#answers.push({ kind: "none", instead: Buffer.concat([failure, readyMessage(status)]) });
    this.#server.write(queryMessage(isEnding ? "rollback" : FAILING_SQL));
  }

  #readServer(chunk: Buffer): void {
    for (const message of this.#fromServer.read(chunk)) {
      if (this.#isOver) return;
      const answer = this.#answers[0] ?? { kind: "relay" };
      const isEnd = message.type === "Z";
      if (answer.kind === "relay" || (answer.kind === "withoutReady" && !isEnd)) this.#client.write(message.bytes);
      if (!isEnd) continue;
      this.#answers.shift();
      this.#status = readyStatus(message);
      if (answer.kind === "cut") {
        this.cut();
        return;
      }
      if (answer.instead) this.#client.write(answer.instead);
    }
  }
}
