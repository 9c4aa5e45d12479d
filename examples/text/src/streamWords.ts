import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { wordsWithSpaces } from "./countText.ts";

/** Writes a text word by word, as slowly as it is told and as its reader reads; stops when the reader has gone. */
export async function streamWords(response: ServerResponse, text: string, delayMs: number): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  try {
    for (const word of wordsWithSpaces(text)) {
      if (!response.write(word)) await once(response, "drain", { signal: gone.signal });
      if (delayMs > 0) await pause(delayMs, undefined, { signal: gone.signal });
      if (gone.signal.aborted) return;
    }
    response.end();
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}
