import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CallResult, Stranger } from "./stranger.ts";
import { addCredit, allowHighRates, callGateway, callRest, eventually, signUp } from "./stranger.ts";

/**
 * What still works while a dependency is away, and for how long: each row of docs/outages.md. A dependency that hangs is
 * harder than one that is gone, because nothing tells anyone, so here they are stopped (SIGSTOP), not killed.
 */
let system: System;
let dir: string;
let stranger: Stranger;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-outages-"));
  system = await startSystem({ dir, gateways: 1, ports: "ephemeral", log: () => undefined });
  stranger = await signUp(system.ready, "outages");
  await addCredit(system.ready, stranger.billingAccountId, 1_000_000_000n);
  await allowHighRates(system.ready, stranger.billingAccountId);
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

const call = (): Promise<CallResult> =>
  callGateway(`${system.ready.gatewayUrl}/v1/qr/generate?text=outage`, stranger.key);

/** Calls until the project is warm: its key is known and it holds a slice of its wallet. */
async function warmUp(calls = 300): Promise<void> {
  for (let made = 0; made < calls; made += 20) {
    await eventually("a warm project", async () => {
      const results = await Promise.all(Array.from({ length: 20 }, call));
      return results.every((result) => result.status === 200);
    });
  }
}

/** What is in usage by now. */
async function used(): Promise<{ calls: number; chargedMicros: number }> {
  const from = new Date(Date.now() - 86_400_000).toISOString();
  const to = new Date(Date.now() + 86_400_000).toISOString();
  const input = { projectId: stranger.projectId, from, to, granularity: "hour" };
  const usage = await callRest(system.ready.apiUrl, "usage/read", input, stranger.accessToken);
  const { calls, chargedMicros } = usage["totals"] as { calls: number; chargedMicros: string };
  return { calls, chargedMicros: Number(chargedMicros) };
}

const counted = async (): Promise<number> => (await used()).calls;

/** Stops a process as it is, runs `during`, and lets it go on. */
async function whileStopped<Result>(pid: number | undefined, during: () => Promise<Result>): Promise<Result> {
  if (pid === undefined) throw new Error("Not a process of ours");
  const pids = [pid, ...childrenOf(pid)];
  for (const each of pids) process.kill(each, "SIGSTOP");
  try {
    return await during();
  } finally {
    for (const each of pids) process.kill(each, "SIGCONT");
  }
}

/** PostgreSQL has a process per connection: stopping the first one alone stops nothing. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text
    .split(" ")
    .filter((child) => child !== "")
    .map(Number);
}

const statuses = (results: readonly CallResult[]): number[] =>
  [...new Set(results.map((result) => result.status))].sort();

const burst = (calls: number): Promise<CallResult[]> => Promise.all(Array.from({ length: calls }, call));

/** Everything that was answered is counted in the end, and nothing else. */
async function expectAllCounted(before: number, answered: number): Promise<void> {
  await eventually(`${answered} more calls in usage`, async () => (await counted()) >= before + answered, 20_000);
  expect(await settledCount()).toBe(before + answered);
}

/** What a call costs by the gateway's word, as soon as it is what it should be. @returns how long that took, in milliseconds */
async function untilPriceIs(priceMicros: number): Promise<number> {
  const startedAt = performance.now();
  await eventually(`the price of ${priceMicros}`, async () => (await call()).priceMicros === priceMicros, 10_000);
  return performance.now() - startedAt;
}

async function setPrice(priceMicros: number): Promise<void> {
  const { accessToken } = await callRest(system.ready.apiUrl, "customers/login", { ...system.ready.admin });
  const endpoints = [{ name: "generate", priceMicros: `${priceMicros}` }];
  await callRest(system.ready.apiUrl, "catalog/update", { name: "qr", endpoints }, String(accessToken));
}

describe("while a dependency hangs", () => {
  it("Redis: calls go on, and are counted when it is back", async () => {
    await warmUp();
    const settled = await settledCount();
    const results = await whileStopped(system.ready.pids.redis, () => burst(200));
    expect(statuses(results)).toEqual([200]);
    await expectAllCounted(settled, 200);
  });

  it("NATS: calls go on, and are counted all the same", async () => {
    await warmUp();
    const settled = await settledCount();
    const results = await whileStopped(system.ready.pids.nats, async () => {
      const answered = await burst(200);
      await expectAllCounted(settled, 200);
      return answered;
    });
    expect(statuses(results)).toEqual([200]);
  });

  it("NATS: a price change takes seconds instead of a moment, and no more than three", async () => {
    await warmUp();
    const { priceMicros } = await call();
    const tookMs = await whileStopped(system.ready.pids.nats, async () => {
      await setPrice(priceMicros + 500);
      return untilPriceIs(priceMicros + 500);
    });
    // Three seconds, and what it takes to load the catalogue and to ask.
    expect(tookMs).toBeLessThan(3_500);
    await setPrice(priceMicros);
    await untilPriceIs(priceMicros);
  });

  it("etcd: calls go on to the instances that were known", async () => {
    await warmUp();
    const settled = await settledCount();
    const results = await whileStopped(system.ready.pids.etcd, () => burst(200));
    expect(statuses(results)).toEqual([200]);
    await expectAllCounted(settled, 200);
  });

  it("workers: calls go on, and are counted when they are back", async () => {
    await warmUp();
    const settled = await settledCount();
    const results = await whileStopped(system.ready.pids.workers, () => burst(200));
    expect(statuses(results)).toEqual([200]);
    await expectAllCounted(settled, 200);
  });

  it("the control plane: calls go on, and are counted", async () => {
    await warmUp();
    const settled = await settledCount();
    const results = await whileStopped(system.ready.pids.api, () => burst(200));
    expect(statuses(results)).toEqual([200]);
    await expectAllCounted(settled, 200);
  });

  it("the database: a warm project's calls go on from what is held, then are refused within seconds, never given away", async () => {
    await warmUp(2_000);
    const settled = await settledCount();
    const { answered, refused } = await whileStopped(system.ready.pids.postgres, async () => {
      const first = await call();
      expect(first.status).toBe(200);
      let answered = 1;
      // The slice that is held is worth a few seconds of the recent rate: it runs out long before this many calls.
      for (;;) {
        const results = await burst(100);
        answered += results.filter((result) => result.status === 200).length;
        const refused = results.filter((result) => result.status !== 200);
        if (refused.length > 0) return { answered, refused };
      }
    });
    expect(statuses(refused)).toEqual([503]);
    expect(refused.every((result) => ["budgets_unavailable", "keys_unavailable"].includes(result.code))).toBe(true);
    await eventually("calls after the outage", async () => (await call()).status === 200);
    await expectAllCounted(settled, answered + 1);
  });

  it("the upstream: calls are refused and cost nothing, and the first that is answered costs its price", async () => {
    await warmUp();
    await settledCount();
    const before = await used();
    const pid = system.ready.pids.examples["qr"];
    if (pid === undefined) throw new Error("The example does not run");
    const results = await new Promise<CallResult[]>((resolve) => {
      process.kill(pid, "SIGKILL");
      void burst(20).then(resolve);
    });
    expect(statuses(results).every((status) => status === 502 || status === 503)).toBe(true);
    let priceMicros = 0;
    await eventually("the upstream", async () => {
      const { status, ...answer } = await call();
      priceMicros = answer.priceMicros;
      return status === 200;
    });
    await eventually("a call in usage", async () => (await counted()) > before.calls);
    await settledCount();
    expect(priceMicros).toBeGreaterThan(0);
    expect((await used()).chargedMicros - before.chargedMicros).toBe(priceMicros);
  });
});

/** The count when nothing is on its way any more. */
async function settledCount(): Promise<number> {
  let last = -1;
  return eventually("an end of counting", async () => {
    const metrics = await (await fetch(`${system.ready.gatewayUrl}/metrics`)).text();
    const now = await counted();
    const isSettled = now === last && /^tollgate_gateway_spool_unfolded 0$/m.test(metrics);
    last = now;
    return isSettled ? now : undefined;
  });
}
