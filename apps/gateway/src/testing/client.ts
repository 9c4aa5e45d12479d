import { once } from "node:events";
import type { Agent, ClientRequest, IncomingHttpHeaders } from "node:http";
import { request as sendRequest } from "node:http";
import { connect } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  /** The connection ended before the answer was complete. */
  readonly isBroken: boolean;
}

export interface CallOptions {
  readonly method?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | AsyncIterable<Buffer>;
  readonly agent?: Agent;
}

/** Sends a request and reads its answer to the end, whole or broken. Rejects only when no answer began. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { method = "GET", key, headers = {}, body, agent } = options;
  return new Promise((resolve, reject) => {
    const request = sendRequest(url, {
      method,
      headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers },
      ...(agent === undefined ? { agent: false } : { agent }),
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => undefined);
      response.on("close", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          trailers: response.trailers,
          body: Buffer.concat(chunks),
          isBroken: !response.complete,
        }),
      );
    });
    if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) request.end(body);
    else void pump(body, request).catch((error: unknown) => request.destroy(error as Error));
  });
}

/** Writes a stream as fast as the other side takes it, in chunks unless a length was given. */
async function pump(body: AsyncIterable<Buffer>, request: ClientRequest): Promise<void> {
  const closed = once(request, "close");
  for await (const chunk of body) {
    if (!request.write(chunk)) await Promise.race([once(request, "drain"), closed]);
    if (request.destroyed) return;
  }
  request.end();
}

/** Sends bytes as they are and returns all that comes back until the other side closes. */
export function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(received));
    socket.write(bytes, "latin1");
  });
}

/** The code of a problem document. */
export const problemCode = (answer: Answer): string => String(JSON.parse(answer.body.toString()).code);
