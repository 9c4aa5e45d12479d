import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkBooks } from "./books.ts";
import type { CallResult } from "./stranger.ts";
import { addCredit, callGateway, signUp } from "./stranger.ts";

/** P2: with any number of gateways and any concurrency, money spent never exceeds credit, and the last call that fits passes. */
const PRICE = 1_000n;

let system: System;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-p2-"));
  system = await startSystem({ dir, gateways: 4, ports: "ephemeral", log: () => undefined });
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

function callAll(key: string, calls: number, gateways: number): Promise<CallResult[]> {
  const urls = system.ready.gatewayUrls.slice(0, gateways);
  return Promise.all(
    Array.from({ length: calls }, (_, index) =>
      callGateway(`${urls[index % urls.length]}/v1/qr/generate?text=${index % 50}`, key),
    ),
  );
}

const count = (results: readonly CallResult[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { status, code } of results) {
    const name = `${status}${code === "" ? "" : ` ${code}`}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
};

describe("credit for 100 calls and 500 calls at once", () => {
  for (const gateways of [1, 2, 4]) {
    for (const rest of [0n, 999n]) {
      it(`lets exactly 100 pass over ${gateways} gateway(s) with ${rest} micros to spare`, async () => {
        const stranger = await signUp(system.ready, "limit");
        await addCredit(system.ready, stranger.billingAccountId, 100n * PRICE + rest);
        const results = await callAll(stranger.key, 500, gateways);
        expect(count(results)).toEqual({ "200": 100, "402 insufficient_credit": 400 });
      });
    }
  }

  it("lets every call pass that fits when gateways hold slices from before", async () => {
    const stranger = await signUp(system.ready, "slices");
    await addCredit(system.ready, stranger.billingAccountId, 2_000n * PRICE);
    const warm = await callAll(stranger.key, 1_000, 4);
    expect(count(warm)).toEqual({ "200": 1_000 });
    const rest = await callAll(stranger.key, 1_500, 1);
    expect(count(rest)).toEqual({ "200": 1_000, "402 insufficient_credit": 500 });
  });

  it("serves again within a second when credit arrives", async () => {
    const stranger = await signUp(system.ready, "again");
    await addCredit(system.ready, stranger.billingAccountId, PRICE);
    expect(count(await callAll(stranger.key, 10, 4))).toEqual({ "200": 1, "402 insufficient_credit": 9 });
    await addCredit(system.ready, stranger.billingAccountId, 5n * PRICE);
    const addedAt = performance.now();
    let passed = 0;
    while (passed === 0 && performance.now() - addedAt < 5_000) {
      passed = (await callAll(stranger.key, 1, 1)).filter(({ status }) => status === 200).length;
    }
    expect(passed).toBe(1);
    expect(performance.now() - addedAt).toBeLessThan(1_000);
  });

  it("leaves books that balance", async () => {
    expect(await checkBooks(system.ready)).toEqual([]);
  });
});
