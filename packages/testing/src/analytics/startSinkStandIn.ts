import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What goes wrong with the next request, instead of what it asks for. */
export interface SinkFault {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the request is carried out although the answer says otherwise. */
  readonly isDone?: boolean;
}

export interface SinkStandIn {
  readonly url: string;
  failNext(...faults: SinkFault[]): void;
  stop(): Promise<void>;
}

export interface SinkRequestSeen {
  readonly method: string;
  readonly url: URL;
  readonly authorization: string;
  readonly body: unknown;
}

export type SinkReply = readonly [status: number, body?: unknown];

const LOCALHOST = "127.0.0.1";
const BODY_BYTES_MAX = 10 * 1024 * 1024;

/** A server that takes JSON, with faults for the asking. */
export async function startSinkStandIn(
  port: number,
  answer: (request: SinkRequestSeen) => SinkReply,
): Promise<SinkStandIn> {
  const faults: SinkFault[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", `http://${LOCALHOST}`);
    const body = await readBody(request);
    const { method = "GET", headers } = request;
    const seen = { method, url, authorization: headers.authorization ?? "", body };
    const fault = faults.shift();
    const reply = fault === undefined || fault.isDone === true ? answer(seen) : undefined;
    const [status, content] = fault === undefined ? (reply ?? [500]) : [fault.status, undefined];
    response.writeHead(status, { "content-type": "application/json", ...fault?.headers });
    response.end(content === undefined ? "" : JSON.stringify(content));
  };
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.writeHead(400).end());
  });
  server.listen(port, LOCALHOST);
  await once(server, "listening");
  return {
    url: `http://${LOCALHOST}:${(server.address() as AddressInfo).port}`,
    failNext: (...more) => void faults.push(...more),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Error("Too large");
    chunks.push(chunk);
  }
  return bytes === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

export const basicOf = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
