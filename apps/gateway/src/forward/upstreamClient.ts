import type { AnswerHandler, ConnectionOwner, PlainRequest } from "./upstreamConnection.ts";
import { failure, steps, UpstreamConnection } from "./upstreamConnection.ts";

interface Waiting {
  readonly request: PlainRequest;
  readonly handler: AnswerHandler;
  /** Of the time that an answer may take: waiting for a connection is part of it. */
  stepsLeft: number;
}

/**
 * Requests without a body to one instance, over plain keep-alive connections. Most calls are such, and a client that does
 * nothing else costs them half of what undici does; that one has all the others (docs/decisions/0038).
 *
 * Requests of one turn of the event loop go out together at its end: whatever an idle connection had to say by then has
 * been heard, so what it sent without being asked closes it and is nobody's answer. For the same reason a connection whose
 * answer has ended is used again in the next turn at the earliest.
 */
export class UpstreamClient implements ConnectionOwner {
  readonly hostname: string;
  readonly port: number;
  readonly host: string;
  readonly #connectionsMax: number;
  readonly #connections = new Set<UpstreamConnection>();
  #waiting: Waiting[] = [];
  /** The one that was used last is used first, so that those which are not needed get old. */
  readonly #free: UpstreamConnection[] = [];
  /** Free from the next turn on. */
  #freed: UpstreamConnection[] = [];
  #isScheduled = false;
  /** What is under way is finished, and nothing is kept for later. */
  #isClosing = false;
  readonly #flushNow = (): void => this.#flush();

  constructor(url: URL, connectionsMax: number) {
    // An IPv6 address stands in brackets in a URL and nowhere else.
    this.hostname = url.hostname.replace(/^\[|\]$/g, "");
    this.port = url.port === "" ? 80 : Number(url.port);
    this.host = url.host;
    this.#connectionsMax = connectionsMax;
  }

  dispatch(request: PlainRequest, handler: AnswerHandler): void {
    this.#waiting.push({ request, handler, stepsLeft: steps(request.headersTimeout) });
    this.#schedule();
  }

  /** To be called every {@link SWEEP_MS}. */
  sweep(): void {
    for (const connection of this.#connections) connection.sweep();
    if (this.#waiting.length > 0) this.#giveUpOverdue();
  }

  #giveUpOverdue(): void {
    for (const waiting of this.#waiting) waiting.stepsLeft -= 1;
    const overdue = this.#waiting.filter(({ stepsLeft }) => stepsLeft <= 0);
    if (overdue.length === 0) return;
    this.#waiting = this.#waiting.filter(({ stepsLeft }) => stepsLeft > 0);
    for (const { handler } of overdue) handler.onError(failure("HEADERS_TIMEOUT", "No connection was free in time"));
  }

  onFree(connection: UpstreamConnection): void {
    if (this.#isClosing && this.#waiting.length === 0) {
      connection.close();
      return;
    }
    this.#freed.push(connection);
    this.#schedule();
  }

  onClosed(connection: UpstreamConnection): void {
    this.#connections.delete(connection);
    remove(this.#free, connection);
    remove(this.#freed, connection);
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Connections are closed when nothing is under way over them. @param isHard whether that is given up */
  close(isHard: boolean): void {
    this.#isClosing = true;
    const given = isHard ? this.#waiting.splice(0) : [];
    for (const connection of isHard ? [...this.#connections] : [...this.#free, ...this.#freed]) connection.close();
    for (const { handler } of given) handler.onError(failure("CLOSED", "Given up"));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flushNow);
  }

  #flush(): void {
    this.#isScheduled = false;
    const waiting = this.#waiting;
    let sent = 0;
    for (; sent < waiting.length; sent += 1) {
      const { request, handler, stepsLeft } = waiting[sent] as Waiting;
      const connection = this.#free.pop() ?? this.#open();
      if (connection === undefined) break;
      connection.run(request, handler, stepsLeft);
    }
    this.#waiting = sent === waiting.length ? [] : waiting.slice(sent);
    if (this.#freed.length === 0) return;
    const freed = this.#freed;
    this.#freed = [];
    this.#free.push(...freed);
    if (this.#waiting.length > 0) this.#schedule();
  }

  #open(): UpstreamConnection | undefined {
    if (this.#connections.size >= this.#connectionsMax) return undefined;
    const connection = new UpstreamConnection(this);
    this.#connections.add(connection);
    return connection;
  }
}

function remove<Value>(values: Value[], value: Value): void {
  const index = values.lastIndexOf(value);
  if (index !== -1) values.splice(index, 1);
}
