import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkBooks } from "./books.ts";
import type { Stranger } from "./stranger.ts";
import { addCredit, allowHighRates, callRest, eventually, signUp } from "./stranger.ts";

/**
 * P8: a shutdown is clean. Everything is restarted in turn, as a roll-out does it, under calls, streams and changes of the
 * control plane: what was begun is answered whole, and what was not answered has not happened.
 */
const CALLERS = 12;
const STREAMS = 4;
const CHANGES = 3;
const WORDS = "What is begun is brought to its end. ".repeat(6).trim();
const WORD_DELAY_MS = 20;

let system: System;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-p8-"));
  system = await startSystem({ dir, gateways: 2, ports: "ephemeral", log: () => undefined });
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

interface Tally {
  answered: number;
  /** Asked to come again, by name or by closed doors: the sums show in the end that nothing has happened. */
  turnedAway: number;
  readonly wrong: string[];
}

interface Answer {
  /** 0 when there was no connection to be had, or none any more, before an answer began. */
  readonly status: number;
  readonly body: string;
}

/**
 * One request over a connection of its own, as a proxy in front would send it to a server that it has not used yet.
 * @throws Error when an answer that had begun does not come to its end
 */
function send(url: string, token: string, body?: Readonly<Record<string, unknown>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const sent = request(url, { agent: false, method: body === undefined ? "GET" : "POST", headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.complete) resolve({ status: response.statusCode ?? 0, body: text });
        else reject(new Error("The answer was cut off"));
      });
    });
    sent.on("error", () => resolve({ status: 0, body: "" }));
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Sends one request after the other until it is over, and judges each answer. */
async function keepSending(
  tally: Tally,
  isOver: () => boolean,
  ask: () => Promise<Answer>,
  isRight: (answer: Answer) => boolean,
): Promise<void> {
  while (!isOver()) {
    const answer = await ask().catch((error: unknown): Answer => ({ status: -1, body: String(error) }));
    const isAway = answer.status === 0 || answer.status === 503;
    if (isAway) tally.turnedAway += 1;
    else if (isRight(answer)) tally.answered += 1;
    else tally.wrong.push(`${answer.status} ${answer.body.slice(0, 200)}`);
    if (isAway) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const newTally = (): Tally => ({ answered: 0, turnedAway: 0, wrong: [] });

/** Ends a process as a roll-out does, and waits until its successor answers. */
async function restart(pidOf: () => number | undefined, url: string): Promise<void> {
  const before = pidOf();
  if (before === undefined) throw new Error("Nothing to restart");
  process.kill(before, "SIGTERM");
  await eventually("a successor", async () => pidOf() !== before && (await fetch(`${url}/readyz`)).ok, 60_000);
}

async function readServed(): Promise<number> {
  const totals = await Promise.all(
    ["qr", "text"].map(async (name) => {
      const response = await fetch(`${system.ready.exampleUrls[name]}/served`);
      return Number(((await response.json()) as { total: unknown }).total);
    }),
  );
  return totals.reduce((sum, total) => sum + total, 0);
}

async function readCounted({ accessToken, projectId, billingAccountId }: Stranger) {
  const from = new Date(Date.now() - 86_400_000).toISOString();
  const to = new Date(Date.now() + 86_400_000).toISOString();
  const input = { projectId, from, to, granularity: "hour" };
  const usage = await callRest(system.ready.apiUrl, "usage/read", input, accessToken);
  const { calls, chargedMicros } = usage["totals"] as { calls: number; chargedMicros: string };
  const { balance } = await callRest(system.ready.apiUrl, "balance/current", { billingAccountId }, accessToken);
  return { calls, spent: BigInt(chargedMicros), balance: BigInt(String(balance)) };
}

it("answers whole what was begun, and nothing else has happened, while everything is restarted under load", async () => {
  const { ready } = system;
  const { apiUrl, gatewayUrls } = ready;
  const credit = 1_000_000_000n;
  const stranger = await signUp(ready, "clean-shutdown");
  const { billingAccountId, key } = stranger;
  await addCredit(ready, billingAccountId, credit);
  await allowHighRates(ready, billingAccountId);
  const admin = String((await callRest(apiUrl, "customers/login", { ...ready.admin }))["accessToken"]);
  const servedBefore = await readServed();

  const [calls, streams, changes] = [newTally(), newTally(), newTally()];
  let isOver = false;
  let made = 0;
  const gatewayUrl = (): string => {
    made += 1;
    return gatewayUrls[made % gatewayUrls.length] ?? ready.gatewayUrl;
  };
  const many = (count: number, start: () => Promise<void>) => Array.from({ length: count }, start);
  const ask = (tally: Tally, sendOne: () => Promise<Answer>, isRight: (answer: Answer) => boolean) => () =>
    keepSending(tally, () => isOver, sendOne, isRight);
  const sending = [
    ...many(
      CALLERS,
      ask(
        calls,
        () => send(`${gatewayUrl()}/v1/qr/generate?text=${made}`, key),
        ({ status, body }) => status === 200 && body.length > 100,
      ),
    ),
    ...many(
      STREAMS,
      ask(
        streams,
        () => send(`${gatewayUrl()}/v1/text/stream`, key, { text: WORDS, delayMs: WORD_DELAY_MS }),
        ({ status, body }) => status === 200 && body === WORDS,
      ),
    ),
    ...many(
      CHANGES,
      ask(
        changes,
        () =>
          send(`${apiUrl}/rest/balance/increment`, admin, {
            billingAccountId,
            micros: "1",
            reference: "a micro",
            visible: false,
            idempotencyKey: `micro-${Math.random()}`,
          }),
        ({ status }) => status === 200,
      ),
    ),
  ];
  for (const [index, url] of gatewayUrls.entries()) await restart(() => system.ready.pids.gateways[index], url);
  await restart(() => system.ready.pids.api, apiUrl);
  const worker = system.ready.pids.workers;
  process.kill(worker, "SIGTERM");
  await eventually("another worker", async () => system.ready.pids.workers !== worker, 60_000);
  isOver = true;
  await Promise.all(sending);
  console.info({ calls, streams, changes });

  expect([...calls.wrong, ...streams.wrong, ...changes.wrong]).toEqual([]);
  for (const { answered } of [calls, streams, changes]) expect(answered).toBeGreaterThan(10);
  const answered = calls.answered + streams.answered;
  expect((await readServed()) - servedBefore).toBe(answered);
  const counted = await eventually(
    `${answered} calls in usage`,
    async () => {
      const now = await readCounted(stranger);
      return now.calls >= answered ? now : undefined;
    },
    60_000,
  );
  expect(counted.calls).toBe(answered);
  expect(counted.balance).toBe(credit + BigInt(changes.answered) - counted.spent);
  expect(await checkBooks(system.ready)).toEqual([]);
});
