import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkBooks } from "./books.ts";
import type { Stranger } from "./stranger.ts";
import { addCredit, allowHighRates, callGateway, callRest, eventually, signUp } from "./stranger.ts";

/** The row of docs/outages.md on the disk of one gateway of several: the kernel refuses its writes in the middle of a record. */
let system: System;
let dir: string;
let stranger: Stranger;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-disk-"));
  system = await startSystem({ dir, gateways: 2, ports: "ephemeral", log: () => undefined });
  stranger = await signUp(system.ready, "disk");
  await addCredit(system.ready, stranger.billingAccountId, 1_000_000_000n);
  await allowHighRates(system.ready, stranger.billingAccountId);
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Lets the files of a gateway grow by so many bytes and no more. A program that is started in its place is not bound by it. */
function fillDisk(gateway: number, bytesLeft: number): void {
  const spool = path.join(dir, `gateway-${gateway + 1}`, "spool");
  const [run = ""] = readdirSync(spool).filter((name) => name.startsWith("gw_"));
  const segment = readdirSync(path.join(spool, run)).sort().at(-1) ?? "";
  const limit = statSync(path.join(spool, run, segment)).size + bytesLeft;
  execFileSync("prlimit", [`--fsize=${limit}:`, "--pid", `${system.ready.pids.gateways[gateway]}`]);
}

async function usage(): Promise<{ calls: number; chargedMicros: number }> {
  const from = new Date(Date.now() - 86_400_000).toISOString();
  const to = new Date(Date.now() + 86_400_000).toISOString();
  const input = { projectId: stranger.projectId, from, to, granularity: "hour" };
  const { totals } = await callRest(system.ready.apiUrl, "usage/read", input, stranger.accessToken);
  const { calls, chargedMicros } = totals as { calls: number; chargedMicros: string };
  return { calls, chargedMicros: Number(chargedMicros) };
}

it("a gateway with a full disk gives nothing away, leaves and comes back, while the others go on; every answered call is counted", async () => {
  const tally = [new Map<string, number>(), new Map<string, number>()] as const;
  const answered = (gateway: 0 | 1): number => tally[gateway].get("200 ") ?? 0;
  let isOver = false;
  let priceMicros = 0;
  const drive = async (gateway: 0 | 1): Promise<void> => {
    while (!isOver) {
      const url = `${system.ready.gatewayUrls[gateway]}/v1/qr/generate?text=disk`;
      const result = await callGateway(url, stranger.key);
      const outcome = `${result.status} ${result.code}`;
      tally[gateway].set(outcome, (tally[gateway].get(outcome) ?? 0) + 1);
      if (result.status === 200) priceMicros = result.priceMicros;
    }
  };
  const drivers = ([0, 1] as const).flatMap((gateway) => Array.from({ length: 4 }, () => drive(gateway)));
  const grows = (gateway: 0 | 1, calls: number): Promise<unknown> => {
    const before = answered(gateway);
    return eventually(`${calls} answers of gateway ${gateway + 1}`, async () => answered(gateway) >= before + calls);
  };
  await Promise.all([grows(0, 100), grows(1, 100)]);
  const [pid] = system.ready.pids.gateways;
  fillDisk(0, 100);
  await eventually("another process", async () => system.ready.pids.gateways[0] !== pid, 60_000);
  await Promise.all([grows(0, 100), grows(1, 100)]);
  isOver = true;
  await Promise.all(drivers);

  expect([...tally[1].keys()]).toEqual(["200 "]);
  const refusals = [...tally[0].keys()].filter((outcome) => outcome !== "200 ");
  // Broken off, refused, or not there; a gateway that has just started refuses for a moment, too.
  expect(refusals.filter((outcome) => !/^(0|503) /.test(outcome))).toEqual([]);
  expect(refusals.length).toBeGreaterThan(0);
  const total = answered(0) + answered(1);
  await eventually("the answered calls in usage", async () => (await usage()).calls >= total);
  await eventually("empty spools", async () => {
    const pages = await Promise.all(
      system.ready.gatewayUrls.map(async (url) => (await fetch(`${url}/metrics`)).text()),
    );
    return pages.every((page) => /^tollgate_gateway_spool_unfolded 0$/m.test(page));
  });
  const { calls, chargedMicros } = await usage();
  expect(calls).toBeGreaterThanOrEqual(total);
  // What was on file whole when the rest of its write was refused is counted, and its answer was broken off.
  expect(calls).toBeLessThanOrEqual(total + drivers.length);
  expect(chargedMicros).toBe(calls * priceMicros);
  expect(await checkBooks(system.ready)).toEqual([]);
});
