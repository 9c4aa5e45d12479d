import { createEtcdStore, DynamicConfig, SETTINGS } from "@tollgate/config";
import { silentLogger, systemClock } from "@tollgate/kernel";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { call } from "./testing/client.ts";
import { Lab } from "./testing/lab.ts";

/** What an operator sets acts on a running gateway within a second. */
const API = "settings-lab";
const WITHIN_A_SECOND = { timeout: 1_000, interval: 10 };

let lab: Lab;
let config: DynamicConfig<typeof SETTINGS>;
let closeStore: () => void;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  const { etcdUrl: url, etcdNamespace: namespace } = lab.namespace;
  const store = createEtcdStore({ url, clock: systemClock, logger: silentLogger, namespace });
  closeStore = () => store.close();
  config = new DynamicConfig({ store, clock: systemClock, logger: silentLogger, table: SETTINGS });
  await config.waitUntilKnown(5_000);
  script = lab.upstream.script((_, response) => response.end("ok"));
  await lab.publish(API, [
    { name: "free", priceMicros: 0 },
    { name: "paid", priceMicros: 100 },
  ]);
});

afterAll(async () => {
  config.close();
  closeStore();
  await lab.close();
});

const set = (name: keyof typeof SETTINGS, value: unknown) =>
  config.set({ name, value, actor: "system:test", requestId: "req_test" });

test("maintenance refuses calls with what to do, leaves the probes alone, and ends as fast as it began", async () => {
  const gateway = await lab.startGateway();
  const { key } = await lab.createAccount();
  const callPaid = () => call(`${gateway.url}/v1/${API}/paid/${script}`, { key });
  expect((await callPaid()).status).toBe(200);
  await set("maintenance", true);
  await vi.waitFor(async () => expect((await callPaid()).status).toBe(503), WITHIN_A_SECOND);
  const refused = await callPaid();
  expect(JSON.parse(refused.body.toString())).toMatchObject({
    status: 503,
    code: "maintenance",
    detail: expect.any(String),
  });
  expect(refused.headers["retry-after"]).toBe("60");
  for (const path of ["healthz", "readyz", "metrics"]) {
    expect((await call(`${gateway.url}/${path}`)).status).toBe(200);
  }
  await set("maintenance", false);
  await vi.waitFor(async () => expect((await callPaid()).status).toBe(200), WITHIN_A_SECOND);
});

test("a free call beyond the month's free ones costs what is set by now", async () => {
  const gateway = await lab.startGateway();
  const { key } = await lab.createAccount({ freeCallsPerMonth: 0 });
  const priceOf = async (): Promise<unknown> => {
    const answer = await call(`${gateway.url}/v1/${API}/free/${script}`, { key });
    return answer.headers["tollgate-price"];
  };
  expect(await priceOf()).toBe("1");
  await set("freeCallOverCapPriceMicros", "25");
  await vi.waitFor(async () => expect(await priceOf()).toBe("25"), WITHIN_A_SECOND);
});

test("a gateway ships no more calls in a batch than is set", async () => {
  await set("meteringBatchCalls", 2);
  await set("meteringShipIntervalMs", 200);
  const gateway = await lab.startGateway();
  const account = await lab.createAccount();
  const before = await batches();
  const { key } = account;
  const calls = Array.from({ length: 7 }, () => call(`${gateway.url}/v1/${API}/paid/${script}`, { key }));
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(7).fill(200));
  await vi.waitFor(async () => expect(await lab.callsOf(account)).toHaveLength(7), { timeout: 10_000, interval: 50 });
  const since = (await batches()).filter((batch) => !before.some(({ source }) => source === batch.source));
  expect(since.map(({ calls }) => calls)).toEqual([2, 2, 2, 1]);
});

async function batches(): Promise<{ source: string; calls: number }[]> {
  const rows = await lab.database.sql`select source, calls from usage_batches order by sequence`;
  return rows.map((row) => ({ source: String(row["source"]), calls: Number(row["calls"]) }));
}

test("a gateway that starts while etcd is away says where its settings come from", async () => {
  const gateway = await lab.startGateway({ ETCD_URL: "http://127.0.0.1:9" });
  const { body, status } = await call(`${gateway.url}/readyz`);
  expect(status).toBe(200);
  expect(JSON.parse(body.toString())).toMatchObject({ dependencies: { settings: "recorded", upstreams: "down" } });
});
