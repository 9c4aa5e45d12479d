import { once } from "node:events";
import { createServer } from "node:http";
import { unauthorized, unavailable } from "@tollgate/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { countText, wordsWithSpaces } from "./countText.ts";
import { definition } from "./openapi.ts";
import type { TextServerOptions } from "./server.ts";
import { createTextServer } from "./server.ts";
import { streamWords } from "./streamWords.ts";

async function start(options: TextServerOptions = {}): Promise<string> {
  const server = createTextServer(options).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

const post = (url: string, path: string, body: unknown): Promise<Response> =>
  fetch(`${url}${path}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
const served = async (url: string): Promise<unknown> => (await fetch(`${url}/served`)).json();

test("counts are what a reader would count", () => {
  expect(countText("To be. Or not to be?")).toEqual({ words: 6, characters: 20, sentences: 2 });
  expect(countText("Wait… what?! 3.14 is not two sentences")).toMatchObject({ words: 7, sentences: 3 });
  expect(countText("e\u0301🇳🇴👩‍👩‍👧")).toMatchObject({ characters: 3 });
  expect(countText(" \n ")).toEqual({ words: 0, characters: 3, sentences: 0 });
});

test("the words of a text with their spaces are the text", () => {
  for (const text of ["one two", "  lead", "trail \n", "a\t\tb", "   ", "é ü"])
    expect(wordsWithSpaces(text).join("")).toBe(text);
});

test("a counted text reports its words as units", async () => {
  const url = await start();
  const response = await post(url, "/count", { text: "one two three." });
  expect(response.status).toBe(200);
  expect(response.headers.get("tollgate-units")).toBe("3");
  expect(await response.json()).toEqual({ words: 3, characters: 14, sentences: 1 });
  expect(await served(url)).toEqual({ total: 1, byEndpoint: { count: 1, stream: 0 } });
});

test("a streamed text arrives whole and in pieces", async () => {
  const url = await start();
  const text = "one two  three\nfour ";
  const response = await post(url, "/stream", { text, delayMs: 20 });
  expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  const pieces: string[] = [];
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) pieces.push(piece);
  expect(pieces.join("")).toBe(text);
  expect(pieces.length).toBeGreaterThan(1);
  expect(await served(url)).toEqual({ total: 1, byEndpoint: { count: 0, stream: 1 } });
});

test("the longest text streams to the byte, however fast or slow its reader is", async () => {
  const url = await start();
  const text = `${"word ".repeat(13_107)}x`;
  expect(Buffer.byteLength(text)).toBe(65_536);
  expect(await (await post(url, "/stream", { text })).text()).toBe(text);
});

test("a reader that goes away stops the stream", async () => {
  let streamed: Promise<void> | undefined;
  const server = createServer((_request, response) => {
    // Ten minutes of words.
    streamed = streamWords(response, "word ".repeat(600), 1_000);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const abort = new AbortController();
  const response = await fetch(`http://127.0.0.1:${address.port}`, { signal: abort.signal });
  await response.body?.getReader().read();
  abort.abort();
  await expect(streamed).resolves.toBeUndefined();
});

test("more than may be charged, and bodies that make no sense, are refused, named and not counted", async () => {
  const url = await start();
  const cases: [string, unknown, number, string][] = [
    ["/count", "not json", 400, "JSON"],
    ["/count", {}, 400, "text: "],
    ["/count", { text: 7 }, 400, "text: "],
    ["/count", { text: "" }, 400, "text: "],
    ["/count", { text: "w ".repeat(10_001) }, 413, "10000 words"],
    ["/count", { text: "w".repeat(1024 * 1024) }, 413, "1048576 bytes"],
    ["/stream", { text: "w".repeat(65_537) }, 413, "65536 bytes"],
    ["/stream", { text: "w", delayMs: -1 }, 400, "delayMs: "],
    ["/stream", { text: "w", delayMs: "1" }, 400, "delayMs: "],
    ["/stream", { text: "w", delayMs: 1_001 }, 400, "delayMs: "],
  ];
  for (const [path, body, status, detail] of cases) {
    const response = await post(url, path, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ status, detail: expect.stringContaining(detail) });
  }
  expect((await post(url, "/count", { text: "w ".repeat(10_000) })).status).toBe(200);
  expect(await served(url)).toMatchObject({ total: 1 });
});

test("with the verifier, only calls of the gateway are answered", async () => {
  const verify = vi.fn();
  const url = await start({ verify });
  verify.mockRejectedValueOnce(unauthorized("Not a valid gateway token"));
  expect((await post(url, "/count", { text: "a" })).status).toBe(401);
  verify.mockRejectedValueOnce(unavailable("The gateway's keys cannot be fetched"));
  expect((await post(url, "/count", { text: "a" })).status).toBe(503);
  verify.mockResolvedValueOnce({
    projectId: "prj_1",
    keyId: "key_1",
    billingAccountId: "ba_1",
    scopes: ["*"],
    callId: null,
  });
  expect((await post(url, "/count", { text: "a" })).status).toBe(200);
  expect(await served(url)).toMatchObject({ total: 1 });
});

test("other paths and methods are refused, and health is told", async () => {
  const url = await start();
  expect((await fetch(`${url}/count`)).status).toBe(405);
  expect((await post(url, "/nothing", {})).status).toBe(404);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("every endpoint that is sold is in the OpenAPI document", () => {
  const paths = definition.openapi["paths"];
  for (const { path, method } of definition.endpoints) {
    expect(paths).toHaveProperty([path, method.toLowerCase()]);
  }
});
