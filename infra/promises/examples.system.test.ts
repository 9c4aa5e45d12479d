import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Stranger } from "./stranger.ts";
import { addCredit, callRest, eventually, signUp } from "./stranger.ts";

/** The example services are sold as their definitions say, to somebody who has just signed up. */
const CREDIT_MICROS = 1_000_000;

let system: System;
let dir: string;
let stranger: Stranger;
const served: Record<string, number> = {};

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-examples-"));
  system = await startSystem({ dir, gateways: 1, ports: "ephemeral", log: () => undefined });
  stranger = await signUp(system.ready, "examples");
  await addCredit(system.ready, stranger.billingAccountId, BigInt(CREDIT_MICROS));
  for (const name of Object.keys(system.ready.exampleUrls)) served[name] = await readServed(name);
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

async function readServed(name: string): Promise<number> {
  const response = await fetch(`${system.ready.exampleUrls[name]}/served`);
  return ((await response.json()) as { total: number }).total;
}

const call = (path: string, body?: object): Promise<Response> =>
  fetch(`${system.ready.gatewayUrl}/v1/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${stranger.key}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

test("helloworld greets whoever is named, for nothing", async () => {
  const answer = await call("helloworld/call", { name: "Ada" });
  expect([answer.status, answer.headers.get("tollgate-price")]).toEqual([200, "0"]);
  expect(JSON.stringify(await answer.json())).toContain("Ada");
});

test("qr draws a PNG for 1,000 micros, from the first call on", async () => {
  const answer = await call("qr/generate?text=hello");
  expect([answer.status, answer.headers.get("tollgate-price")]).toEqual([200, "1000"]);
  expect(
    Buffer.from(await answer.arrayBuffer())
      .subarray(1, 4)
      .toString(),
  ).toBe("PNG");
});

test("text counts ten texts a month for nothing and then by the word, and streams by the byte; all of it is in the books", async () => {
  const prices: (string | null)[] = [];
  for (let index = 0; index < 12; index += 1) {
    const answer = await call("text/count", { text: "one two three" });
    expect(await answer.json()).toMatchObject({ words: 3 });
    prices.push(answer.headers.get("tollgate-price"));
  }
  expect(prices).toEqual([...Array<string>(10).fill("0"), "30", "30"]);

  const streamed = await call("text/stream", { text: "word by word" });
  const text = await streamed.text();
  expect([streamed.status, text.replaceAll(/\s+/g, " ").trim()]).toEqual([200, "word by word"]);
  const spent = 1_000 + 2 * 30 + Buffer.byteLength(text);

  const balance = await eventually("the balance after all calls", async () => {
    const current = await callRest(
      system.ready.apiUrl,
      "balance/current",
      { billingAccountId: stranger.billingAccountId },
      stranger.accessToken,
    );
    return JSON.stringify(current).includes(String(CREDIT_MICROS - spent)) ? current : undefined;
  });
  expect(balance).toBeDefined();
  const now = await Promise.all(["helloworld", "qr", "text"].map(readServed));
  expect(now).toEqual([(served["helloworld"] ?? 0) + 1, (served["qr"] ?? 0) + 1, (served["text"] ?? 0) + 13]);
});
