import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Whoever receives webhooks: keeps each body under its `webhook-id`, and answers 204. */
export interface Receiver {
  readonly url: string;
  readonly messages: ReadonlyMap<string, string>;
  /** How many requests there were, repetitions included. */
  count(): number;
  close(): Promise<void>;
}

/** @throws Error from `close` when a message came again with another body: then its id does not tell it apart */
export async function startReceiver(): Promise<Receiver> {
  const messages = new Map<string, string>();
  const changed: string[] = [];
  let count = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The sender was killed in the middle of it.
      return;
    }
    count += 1;
    const id = String(request.headers["webhook-id"]);
    const body = Buffer.concat(chunks).toString("utf8");
    if ((messages.get(id) ?? body) !== body) changed.push(id);
    messages.set(id, body);
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    messages,
    count: () => count,
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (changed.length > 0) throw new Error(`Came again with another body: ${changed}`);
    },
  };
}
