import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import { Pool } from "undici";
import { reportPort } from "./reportPort.ts";

/**
 * The floor: the fastest proxy that node:http and undici make. It knows no keys, counts nothing and filters nothing; the
 * head and the body of a small answer leave in one write, and a large one streams. What the gateway costs is what it costs more than this.
 */
const pool = new Pool(process.argv[2] ?? "", { connections: 256, pipelining: 1 });
type DispatchOptions = Parameters<typeof pool.dispatch>[0];
type DispatchHandler = Parameters<typeof pool.dispatch>[1];

/** Answers that are longer are passed on as they come. */
const SMALL_BYTES = 16 * 1024;

/** The handler of the HTTP client with raw headers, as the gateway has it. */
class Answer {
  readonly #response: ServerResponse;
  #status = 0;
  #headers: string[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isStreaming = false;
  #resume: () => void = () => undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onConnect(): void {
    // Nothing to keep: a call that was begun is finished.
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void): boolean {
    this.#status = status;
    this.#resume = resume;
    this.#headers = rawHeaders.map((part) => part.toString("latin1"));
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (!this.#isStreaming && this.#bytes <= SMALL_BYTES) {
      this.#chunks.push(chunk);
      return true;
    }
    if (!this.#isStreaming) this.#begin();
    const isFlowing = this.#response.write(chunk);
    if (!isFlowing) this.#response.once("drain", this.#resume);
    return isFlowing;
  }

  #begin(): void {
    this.#isStreaming = true;
    this.#response.writeHead(this.#status, this.#headers);
    for (const chunk of this.#chunks) this.#response.write(chunk);
  }

  onComplete(): void {
    if (this.#isStreaming) {
      this.#response.end();
      return;
    }
    const body = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#response.writeHead(this.#status, this.#headers);
    // As text of the same bytes, node puts a small body behind the head's text: one piece, one write.
    this.#response.end(body.toString("latin1"), "latin1");
  }

  onError(): void {
    this.#response.writeHead(502).end();
  }
}

const server = createServer({ noDelay: true, keepAliveTimeout: 65_000 }, (request, response) => {
  const options: DispatchOptions = {
    path: request.url ?? "/",
    method: request.method as "GET",
    headers: request.rawHeaders,
    body: null,
  };
  pool.dispatch(options, new Answer(response) as unknown as DispatchHandler);
});
server.listen(0, "127.0.0.1", () => reportPort(server));
