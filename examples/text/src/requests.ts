import type { IncomingMessage } from "node:http";
import { countWords } from "./countText.ts";
import { DELAY_MS_MAX, STREAM_BYTES_MAX, WORDS_MAX } from "./limits.ts";

const BODY_BYTES_MAX = 1024 * 1024;

/** A refusal that is the caller's to mend. */
export class RequestError extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

/** @throws RequestError 400, or 413 beyond a mebibyte */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The iterator must not take the connection down with it: the refusal still has to be sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new RequestError(413, `The body must be at most ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new RequestError(400, "The body must be JSON");
  }
}

/** @throws RequestError */
export function parseCountRequest(body: unknown): { text: string } {
  const text = textIn(body);
  if (countWords(text) > WORDS_MAX) throw new RequestError(413, `text: must be at most ${WORDS_MAX} words`);
  return { text };
}

/** @throws RequestError */
export function parseStreamRequest(body: unknown): { text: string; delayMs: number } {
  const text = textIn(body);
  if (Buffer.byteLength(text) > STREAM_BYTES_MAX) {
    throw new RequestError(413, `text: must be at most ${STREAM_BYTES_MAX} bytes`);
  }
  const delayMs = fieldOf(body, "delayMs") ?? 0;
  if (typeof delayMs !== "number" || !Number.isInteger(delayMs) || delayMs < 0 || delayMs > DELAY_MS_MAX) {
    throw new RequestError(400, `delayMs: must be a whole number from 0 to ${DELAY_MS_MAX}`);
  }
  return { text, delayMs };
}

function textIn(body: unknown): string {
  const text = fieldOf(body, "text");
  if (typeof text !== "string" || text === "") throw new RequestError(400, "text: must be a text that is not empty");
  return text;
}

function fieldOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
}
