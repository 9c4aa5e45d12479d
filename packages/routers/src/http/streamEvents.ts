import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { toProblem } from "@tollgate/kernel";
import { isTrackedEnvelope } from "@trpc/server";
import { toTollgateError } from "../errors.ts";
import { STREAM_PING_MS } from "../trpc.ts";
import { toPlainJson } from "./plainJson.ts";

/**
 * A subscription as plain server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): a message
 * is its JSON under its id, a comment says now and then that the stream is alive, and a failure is an event `problem`
 * with a problem document, after which the stream ends. Where it ends without one, clients should connect again.
 *
 * The next message is asked for when the last one has gone out, so nothing piles up for a slow reader.
 */
export async function streamEvents(
  messages: AsyncIterator<unknown>,
  first: IteratorResult<unknown>,
  stream: { readonly response: ServerResponse; readonly requestId: string; readonly onError: (error: unknown) => void },
): Promise<void> {
  const { response, requestId, onError } = stream;
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
  });
  response.flushHeaders();
  const ping = setInterval(() => {
    if (!response.writableNeedDrain) response.write(":\n\n");
  }, STREAM_PING_MS);
  try {
    for (let next = first; next.done !== true; next = await messages.next()) {
      if (!response.write(eventOf(next.value)) && !response.destroyed) await drained(response);
      if (response.destroyed) break;
    }
  } catch (error) {
    if (!isEndOfStream(error)) {
      onError(error);
      const problem = toProblem(toTollgateError(error), requestId);
      response.write(`event: problem\ndata: ${toPlainJson(problem)}\n\n`);
    }
  } finally {
    clearInterval(ping);
    await messages.return?.();
    response.end();
  }
}

/** A subscription of pieces of a text as that text. A failure cuts it, so that nobody takes a part for the whole. */
export async function streamText(
  pieces: AsyncIterator<unknown>,
  first: IteratorResult<unknown>,
  stream: { readonly response: ServerResponse; readonly contentType: string },
): Promise<void> {
  const { response, contentType } = stream;
  response.writeHead(200, { "content-type": `${contentType}; charset=utf-8`, "cache-control": "no-store" });
  try {
    for (let next = first; next.done !== true && !response.destroyed; next = await pieces.next()) {
      if (!response.write(String(next.value)) && !response.destroyed) await drained(response);
    }
    response.end();
  } finally {
    await pieces.return?.();
  }
}

/** The server wants the client to connect again, here or elsewhere. */
export const isEndOfStream = (error: unknown): boolean => error instanceof Error && error.name === "AbortError";

function eventOf(message: unknown): string {
  return isTrackedEnvelope(message)
    ? `id: ${message[0]}\ndata: ${toPlainJson(message[1])}\n\n`
    : `data: ${toPlainJson(message)}\n\n`;
}

async function drained(response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  response.once("close", onClose);
  await once(response, "drain", { signal: gone.signal }).catch(() => undefined);
  response.off("close", onClose);
}
