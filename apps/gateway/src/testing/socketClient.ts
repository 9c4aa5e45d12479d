import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { ClientOptions } from "ws";
import { WebSocket } from "ws";

/** How a WebSocket ended, as its client saw it. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

export interface OpenClient {
  readonly socket: WebSocket;
  readonly response: IncomingMessage;
  readonly ended: Promise<Ending>;
  /** What arrived so far, as text. */
  readonly received: string[];
}

/** Opens a WebSocket. @throws RefusedUpgrade when it is answered in plain HTTP */
export async function openSocket(
  url: string,
  options: ClientOptions & { readonly key?: string; readonly protocols?: string[] } = {},
): Promise<OpenClient> {
  const { key, protocols = [], ...more } = options;
  const headers = { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...more.headers };
  const socket = new WebSocket(url.replace(/^http/, "ws"), protocols, { perMessageDeflate: false, ...more, headers });
  const received: string[] = [];
  socket.on("message", (data) => received.push(String(data)));
  socket.on("error", () => undefined);
  const ended = new Promise<Ending>((resolve) =>
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  const upgraded = once(socket, "upgrade");
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("unexpected-response", (_, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => reject(new RefusedUpgrade(response, Buffer.concat(chunks).toString())));
    });
    socket.once("error", reject);
  });
  const [response] = (await upgraded) as [IncomingMessage];
  return { socket, response, ended, received };
}

export class RefusedUpgrade extends Error {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;

  constructor(response: IncomingMessage, body: string) {
    super(`${response.statusCode} ${body}`);
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.body = body;
  }
}

/** Why a WebSocket was not opened: the status, and the problem's code or the body. */
export async function refusalOf(opening: Promise<unknown>): Promise<[number, string]> {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RefusedUpgrade)) throw error ?? new Error("It was opened");
  const isProblem = error.headers["content-type"] === "application/problem+json";
  return [error.status, isProblem ? String(JSON.parse(error.body).code) : error.body];
}
