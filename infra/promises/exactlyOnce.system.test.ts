import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkBooks } from "./books.ts";
import type { Stranger } from "./stranger.ts";
import { addCredit, allowHighRates, callGateway, callRest, eventually, kill, signUp } from "./stranger.ts";

/**
 * P1: every call that was answered is counted once and charged once, whatever is killed with -9. One driver makes 20,000
 * calls at a concurrency of 64 over two gateways, while everything around the gateways dies in turn, again and again.
 */
const CALLS = 20_000;
const CONCURRENCY = 64;
const PRICE = 1_000;

let system: System;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-p1-"));
  system = await startSystem({ dir, gateways: 2, ports: "ephemeral", log: () => undefined });
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

type Victim = (round: number) => void | Promise<void>;

const VICTIMS: Readonly<Record<string, Victim>> = {
  worker: () => kill(system.ready.pids.workers),
  "redis, emptied": async () => {
    const redis = new Redis(system.ready.redisUrl, { maxRetriesPerRequest: 1 });
    redis.on("error", () => undefined);
    await redis.flushall().catch(() => undefined);
    redis.disconnect();
  },
  redis: () => kill(system.ready.pids.redis),
  nats: () => kill(system.ready.pids.nats),
  postgres: () => kill(system.ready.pids.postgres),
};

const GATEWAY: Victim = (round) => kill(system.ready.pids.gateways[round % 2]);

interface Tally {
  answered: number;
  refused: number;
  broken: number;
  unexpected: string[];
}

/** Makes the calls; goes on past their number until `isOver`, so that every kill meets traffic. */
async function drive(stranger: Stranger, isOver: () => boolean): Promise<Tally> {
  const tally: Tally = { answered: 0, refused: 0, broken: 0, unexpected: [] };
  const urls = system.ready.gatewayUrls;
  let made = 0;
  const caller = async (number: number): Promise<void> => {
    while (made < CALLS || !isOver()) {
      made += 1;
      const url = `${urls[(made + number) % urls.length]}/v1/qr/generate?text=${made % 100}`;
      const result = await callGateway(url, stranger.key);
      if (result.status === 200) tally.answered += 1;
      else if (result.status === 0) tally.broken += 1;
      else if (result.status === 503 || result.status === 502) tally.refused += 1;
      else tally.unexpected.push(`${result.status} ${result.code}`);
      if (result.status !== 200) await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, number) => caller(number)));
  return tally;
}

const readServed = async (): Promise<number> => {
  const response = await fetch(`${system.ready.exampleUrls["qr"]}/served`);
  return Number(((await response.json()) as { total: unknown }).total);
};

/** What the customer sees, once everything that is on its way has arrived. */
async function readCounted(stranger: Stranger): Promise<{ calls: number; chargedMicros: number; balance: number }> {
  const from = new Date(Date.now() - 86_400_000).toISOString();
  const to = new Date(Date.now() + 86_400_000).toISOString();
  const input = { projectId: stranger.projectId, from, to, granularity: "hour" };
  const usage = await callRest(system.ready.apiUrl, "usage/read", input, stranger.accessToken);
  const totals = usage["totals"] as { calls: number; chargedMicros: string };
  const { billingAccountId } = stranger;
  const current = await callRest(system.ready.apiUrl, "balance/current", { billingAccountId }, stranger.accessToken);
  return { calls: totals.calls, chargedMicros: Number(totals.chargedMicros), balance: Number(current["balance"]) };
}

/** Waits until nothing moves any more: no gateway has anything on file, and two looks a while apart agree. */
async function settle(stranger: Stranger): Promise<Awaited<ReturnType<typeof readCounted>>> {
  let last = "";
  return eventually(
    "an end of counting",
    async () => {
      const metrics = await Promise.all(
        system.ready.gatewayUrls.map(async (url) => (await fetch(`${url}/metrics`)).text()),
      );
      const isEmpty = metrics.every((text) => /^tollgate_gateway_spool_unfolded 0$/m.test(text));
      const counted = await readCounted(stranger);
      const isSame = JSON.stringify(counted) === last;
      last = JSON.stringify(counted);
      return isEmpty && isSame ? counted : undefined;
    },
    60_000,
  );
}

async function liveThrough(victims: readonly Victim[], rounds: number): Promise<void> {
  const credit = 200_000_000n;
  const stranger = await signUp(system.ready, "exactly-once");
  await addCredit(system.ready, stranger.billingAccountId, credit);
  await allowHighRates(system.ready, stranger.billingAccountId);
  const servedBefore = await readServed();
  let isOver = false;
  const driving = drive(stranger, () => isOver);
  for (let round = 0; round < rounds; round += 1) {
    for (const victim of victims) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await victim(round);
    }
  }
  isOver = true;
  const tally = await driving;
  const counted = await settle(stranger);
  const served = (await readServed()) - servedBefore;
  const gatewayKills = victims.includes(GATEWAY) ? rounds : 0;
  console.info({ ...tally, counted: counted.calls, served, charged: counted.chargedMicros });

  expect(tally.unexpected).toEqual([]);
  expect(tally.answered).toBeGreaterThan(CALLS / 4);
  expect(counted.chargedMicros).toBe(counted.calls * PRICE);
  expect(BigInt(counted.balance)).toBe(credit - BigInt(counted.chargedMicros));
  expect(counted.calls).toBeGreaterThanOrEqual(tally.answered);
  expect(served).toBeGreaterThanOrEqual(counted.calls);
  expect(served - tally.answered).toBeLessThanOrEqual(gatewayKills * CONCURRENCY);
  expect(await checkBooks(system.ready)).toEqual([]);
}

describe("a call that was answered", () => {
  it("is counted once and charged once while workers, Redis, NATS and the database are killed", async () => {
    await liveThrough(Object.values(VICTIMS), 2);
  });

  it("is counted once and charged once while gateways are killed as well", async () => {
    await liveThrough([...Object.values(VICTIMS), GATEWAY], 2);
  });
});
