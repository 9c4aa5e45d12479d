import { parseMicros, silentLogger, systemClock, TestClock } from "@tollgate/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { storeFixture } from "../test/storeFixture.ts";
import { DynamicConfig } from "./dynamicConfig.ts";
import { SETTINGS } from "./settings.ts";
import type { EtcdStore } from "./store.ts";

const WAIT = { timeout: 10_000, interval: 20 };

async function openConfig(store: EtcdStore, clock = new TestClock("2026-03-01T00:00:00Z")) {
  const config = new DynamicConfig({ store, clock, logger: silentLogger, table: SETTINGS });
  onTestFinished(() => config.close());
  await config.waitUntilKnown(5_000);
  return config;
}

/** A change as the store holds it. */
function changeText(value: unknown, revision = 1): string {
  return JSON.stringify({
    id: `chg_${revision}`,
    revision,
    value,
    at: "2026-03-01T00:00:00Z",
    actor: "a",
    requestId: "r",
  });
}

test("a setting is its default until it is set, then its value in every process within a second", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const [here, there] = await Promise.all([openConfig(store), openConfig(other)]);
  expect(here.get("freeCallOverCapPriceMicros")).toBe(1n);
  const heard = vi.fn();
  there.onChange("freeCallOverCapPriceMicros", heard);
  const startedMs = performance.now();
  await here.set({ name: "freeCallOverCapPriceMicros", value: "25", actor: "customer:cus_1", requestId: "req_1" });
  expect(here.get("freeCallOverCapPriceMicros")).toBe(parseMicros("25"));
  await vi.waitFor(() => expect(there.get("freeCallOverCapPriceMicros")).toBe(parseMicros("25")), {
    timeout: 5_000,
    interval: 5,
  });
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(heard).toHaveBeenCalledExactlyOnceWith(25n, 1n);
  const stored = await other.get("/tollgate/config/freeCallOverCapPriceMicros");
  expect(JSON.parse(stored?.value ?? "")).toMatchObject({ revision: 1, value: "25", actor: "customer:cus_1" });
});

test("a value that the schema refuses changes nothing and names what is wrong", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  for (const value of ["1", -0.1, null, { margin: 0.5 }]) {
    await expect(config.set({ name: "margin", value, actor: "a", requestId: "req_1" })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: "value", message: expect.any(String) }],
    });
  }
  await expect(config.set({ name: "nothing", value: 1, actor: "a", requestId: "req_1" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await expect(config.set({ name: "toString", value: 1, actor: "a", requestId: "req_1" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  expect(await other.list("/tollgate/")).toEqual([]);
  expect(config.get("margin")).toBe(0.5);
});

test("the history tells who set what and when, newest first, and survives a restart", async () => {
  const { store } = await storeFixture(onTestFinished);
  const clock = new TestClock("2026-03-01T00:00:00Z");
  const config = await openConfig(store, clock);
  await config.set({ name: "maintenance", value: true, actor: "customer:cus_1", requestId: "req_1" });
  clock.advanceMs(60_000);
  await config.set({ name: "maintenance", value: false, actor: "customer:cus_2", requestId: "req_1" });
  const expected = [
    { revision: 2, value: false, at: "2026-03-01T00:01:00.000Z", actor: "customer:cus_2", requestId: "req_1" },
    { revision: 1, value: true, at: "2026-03-01T00:00:00.000Z", actor: "customer:cus_1", requestId: "req_1" },
  ];
  expect(await config.history("maintenance")).toMatchObject(expected);
  const again = await openConfig(store);
  expect(await again.history("maintenance")).toMatchObject(expected);
  expect(again.list().find(({ name }) => name === "maintenance")).toMatchObject({
    revision: 2,
    changedAt: "2026-03-01T00:01:00.000Z",
    changedBy: "customer:cus_2",
  });
  expect(await config.history("margin")).toEqual([]);
  await expect(config.history("nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a rollback is a change of its own to an earlier value, or to the default", async () => {
  const { store } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  await config.set({ name: "leaseSliceSeconds", value: 5, actor: "a", requestId: "req_1" });
  await config.set({ name: "leaseSliceSeconds", value: 9, actor: "a", requestId: "req_1" });
  expect(
    await config.rollback({ name: "leaseSliceSeconds", revision: 1, actor: "b", requestId: "req_1" }),
  ).toMatchObject({
    change: { revision: 3, value: 5, rolledBackTo: 1 },
    before: 9,
  });
  expect(config.get("leaseSliceSeconds")).toBe(5);
  await config.rollback({ name: "leaseSliceSeconds", revision: 0, actor: "b", requestId: "req_1" });
  expect(config.get("leaseSliceSeconds")).toBe(3);
  await expect(
    config.rollback({ name: "leaseSliceSeconds", revision: 99, actor: "b", requestId: "req_1" }),
  ).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  expect((await config.history("leaseSliceSeconds")).map(({ revision }) => revision)).toEqual([4, 3, 2, 1]);
});

test("changes made at the same time each get a revision, and the last one is in force", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const [here, there] = await Promise.all([openConfig(store), openConfig(other)]);
  const changes = await Promise.all([
    here.set({ name: "meteringBatchCalls", value: 10, actor: "here", requestId: "req_1" }),
    there.set({ name: "meteringBatchCalls", value: 20, actor: "there", requestId: "req_1" }),
  ]);
  expect(changes.map(({ change }) => change.revision).sort()).toEqual([1, 2]);
  const last = changes.find(({ change }) => change.revision === 2)?.change.value;
  await vi.waitFor(
    () => expect([here.get("meteringBatchCalls"), there.get("meteringBatchCalls")]).toEqual([last, last]),
    WAIT,
  );
});

test("a stored value that is not valid leaves the last good one in force, or the default", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  await other.put("/tollgate/config/margin", "not json");
  await other.put("/tollgate/config/unknownSetting", changeText(1));
  const config = await openConfig(store);
  expect(config.get("margin")).toBe(0.5);
  await other.put("/tollgate/config/margin", changeText(0.25));
  await vi.waitFor(() => expect(config.get("margin")).toBe(0.25), WAIT);
  await other.put("/tollgate/config/margin", changeText(7, 2));
  // The order of changes is kept, so once this one is seen the bad one has been.
  await other.put("/tollgate/config/maintenance", changeText(true));
  await vi.waitFor(() => expect(config.get("maintenance")).toBe(true), WAIT);
  expect(config.get("margin")).toBe(0.25);
  await other.delete("/tollgate/config/margin");
  await vi.waitFor(() => expect(config.get("margin")).toBe(0.5), WAIT);
});

test("during an outage the last known values stay in force, the status says so, and what was missed comes after it", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  await config.set({ name: "maintenance", value: true, actor: "a", requestId: "req_1" });
  await proxy.down();
  await vi.waitFor(() => expect(config.status().isHealthy).toBe(false), WAIT);
  expect(config.status()).toMatchObject({ source: "etcd", staleSince: expect.any(Date) });
  expect(config.get("maintenance")).toBe(true);
  await expect(config.set({ name: "maintenance", value: false, actor: "a", requestId: "req_1" })).rejects.toMatchObject(
    {
      code: "UNAVAILABLE",
    },
  );
  await other.put("/tollgate/config/maintenance", changeText(false, 2));
  expect(config.get("maintenance")).toBe(true);
  await proxy.up();
  await vi.waitFor(() => expect(config.get("maintenance")).toBe(false), WAIT);
  await vi.waitFor(() => expect(config.status()).toEqual({ isHealthy: true, source: "etcd", staleSince: null }), WAIT);
});

test("a process that starts during an outage runs on the defaults and says so", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await other.put("/tollgate/config/logLevel", changeText("debug"));
  await proxy.down();
  const config = new DynamicConfig({ store, clock: systemClock, logger: silentLogger, table: SETTINGS });
  onTestFinished(() => config.close());
  expect(await config.waitUntilKnown(50)).toBe(false);
  expect(config.get("logLevel")).toBe("info");
  expect(config.status()).toMatchObject({ isHealthy: false, source: "defaults" });
  await proxy.up();
  await vi.waitFor(() => expect(config.get("logLevel")).toBe("debug"), WAIT);
  expect(config.status().source).toBe("etcd");
});

test("operators see every setting as JSON, and a listener that throws does not silence the next", async () => {
  const { store } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  const heard = vi.fn();
  config.onChange("signupPromoMicros", () => {
    throw new Error("broken listener");
  });
  const stop = config.onChange("signupPromoMicros", heard);
  await config.set({ name: "signupPromoMicros", value: "5000000", actor: "a", requestId: "req_1" });
  await config.set({ name: "signupPromoMicros", value: "5000000", actor: "a", requestId: "req_1" });
  expect(heard).toHaveBeenCalledExactlyOnceWith(5_000_000n, 0n);
  stop();
  await config.set({ name: "signupPromoMicros", value: "1", actor: "a", requestId: "req_1" });
  expect(heard).toHaveBeenCalledTimes(1);
  const views = config.list();
  expect(views.map(({ name }) => name)).toEqual(Object.keys(SETTINGS));
  expect(views.find(({ name }) => name === "signupPromoMicros")).toMatchObject({ value: "1", default: "0" });
  expect(() => JSON.stringify(views)).not.toThrow();
});

test("a change from a revision that is not the present one is a conflict, and only one of many at once passes", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const [here, there] = await Promise.all([openConfig(store), openConfig(other)]);
  const change = (config: typeof here, value: number, expectedRevision: number) =>
    config.set({ name: "margin", value, actor: "a", requestId: "req_1", expectedRevision });
  await change(here, 0.4, 0);
  await expect(change(there, 0.3, 0)).rejects.toMatchObject({ code: "CONFLICT", reason: "setting_changed" });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) => change(index % 2 === 0 ? here : there, index / 100, 1)),
  );
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await here.history("margin")).toHaveLength(2);
});

test("a process that starts during an outage takes what was recorded last, and then what the store says", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await other.put("/tollgate/config/margin", changeText(0.2, 2));
  await proxy.down();
  let attempts = 0;
  const config = new DynamicConfig({
    store,
    clock: systemClock,
    logger: silentLogger,
    table: SETTINGS,
    recorded: async () => {
      attempts += 1;
      if (attempts === 1) throw new Error("the records are away as well");
      return [{ name: "margin", change: JSON.parse(changeText(0.1)) }];
    },
  });
  onTestFinished(() => config.close());
  expect(config.isKnown).toBe(false);
  expect(await config.waitUntilKnown(10_000)).toBe(true);
  expect(config.status()).toMatchObject({ source: "recorded", isHealthy: false });
  expect(config.get("margin")).toBe(0.1);
  await proxy.up();
  await vi.waitFor(() => expect(config.get("margin")).toBe(0.2), WAIT);
  expect(config.status().source).toBe("etcd");
});

test("a store that has lost its data changes no setting, and is given back what it had", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  await config.set({ name: "margin", value: 0.2, actor: "a", requestId: "req_1" });
  await config.set({ name: "margin", value: 0.3, actor: "a", requestId: "req_1" });
  const changes = await config.changes();
  await proxy.down();
  for (const { key } of await other.list("/tollgate/")) await other.delete(key);
  await proxy.up();
  await vi.waitFor(() => expect(config.status().isHealthy).toBe(true), WAIT);
  expect(config.get("margin")).toBe(0.3);
  await config.restore(changes);
  const fresh = await openConfig(other);
  expect(fresh.get("margin")).toBe(0.3);
  expect(await fresh.changes()).toEqual(changes);
});
