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
  await config.waitUntilSynced(5_000);
  return config;
}

test("a setting is its default until it is set, then its value in every process within a second", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const [here, there] = await Promise.all([openConfig(store), openConfig(other)]);
  expect(here.get("freeCallOverCapPriceMicros")).toBe(1n);
  const heard = vi.fn();
  there.onChange("freeCallOverCapPriceMicros", heard);
  const startedMs = performance.now();
  await here.set({ name: "freeCallOverCapPriceMicros", value: "25", actor: "customer:cus_1" });
  expect(here.get("freeCallOverCapPriceMicros")).toBe(parseMicros("25"));
  await vi.waitFor(() => expect(there.get("freeCallOverCapPriceMicros")).toBe(parseMicros("25")), {
    timeout: 5_000,
    interval: 5,
  });
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(heard).toHaveBeenCalledExactlyOnceWith(25n, 1n);
  expect((await other.get("/tollgate/config/freeCallOverCapPriceMicros"))?.value).toBe('"25"');
});

test("a value that the schema refuses changes nothing and names what is wrong", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  for (const value of ["1", -0.1, null, { margin: 0.5 }]) {
    await expect(config.set({ name: "margin", value, actor: "a" })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: "value", message: expect.any(String) }],
    });
  }
  await expect(config.set({ name: "nothing", value: 1, actor: "a" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(config.set({ name: "toString", value: 1, actor: "a" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await other.list("/tollgate/")).toEqual([]);
  expect(config.get("margin")).toBe(0.5);
});

test("the history tells who set what and when, newest first, and survives a restart", async () => {
  const { store } = await storeFixture(onTestFinished);
  const clock = new TestClock("2026-03-01T00:00:00Z");
  const config = await openConfig(store, clock);
  await config.set({ name: "maintenance", value: true, actor: "customer:cus_1" });
  clock.advanceMs(60_000);
  await config.set({ name: "maintenance", value: false, actor: "customer:cus_2" });
  const expected = [
    { revision: 2, value: false, at: "2026-03-01T00:01:00.000Z", actor: "customer:cus_2" },
    { revision: 1, value: true, at: "2026-03-01T00:00:00.000Z", actor: "customer:cus_1" },
  ];
  expect(await config.history("maintenance")).toEqual(expected);
  expect(await (await openConfig(store)).history("maintenance")).toEqual(expected);
  expect(await config.history("margin")).toEqual([]);
  await expect(config.history("nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a rollback is a change of its own to an earlier value, or to the default", async () => {
  const { store } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  await config.set({ name: "leaseSliceSeconds", value: 5, actor: "a" });
  await config.set({ name: "leaseSliceSeconds", value: 9, actor: "a" });
  expect(await config.rollback({ name: "leaseSliceSeconds", revision: 1, actor: "b" })).toMatchObject({
    revision: 3,
    value: 5,
    rolledBackTo: 1,
  });
  expect(config.get("leaseSliceSeconds")).toBe(5);
  await config.rollback({ name: "leaseSliceSeconds", revision: 0, actor: "b" });
  expect(config.get("leaseSliceSeconds")).toBe(3);
  await expect(config.rollback({ name: "leaseSliceSeconds", revision: 99, actor: "b" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  expect((await config.history("leaseSliceSeconds")).map(({ revision }) => revision)).toEqual([4, 3, 2, 1]);
});

test("changes made at the same time each get a revision, and the last one is in force", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const [here, there] = await Promise.all([openConfig(store), openConfig(other)]);
  const changes = await Promise.all([
    here.set({ name: "meteringBatchCalls", value: 10, actor: "here" }),
    there.set({ name: "meteringBatchCalls", value: 20, actor: "there" }),
  ]);
  expect(changes.map(({ revision }) => revision).sort()).toEqual([1, 2]);
  const last = changes.find(({ revision }) => revision === 2);
  await vi.waitFor(
    () => expect([here.get("meteringBatchCalls"), there.get("meteringBatchCalls")]).toEqual([last?.value, last?.value]),
    WAIT,
  );
});

test("a stored value that is not valid leaves the last good one in force, or the default", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  await other.put("/tollgate/config/margin", "not json");
  await other.put("/tollgate/config/unknownSetting", "1");
  const config = await openConfig(store);
  expect(config.get("margin")).toBe(0.5);
  await other.put("/tollgate/config/margin", "0.25");
  await vi.waitFor(() => expect(config.get("margin")).toBe(0.25), WAIT);
  await other.put("/tollgate/config/margin", "7");
  // The order of changes is kept, so once this one is seen the bad one has been.
  await other.put("/tollgate/config/maintenance", "true");
  await vi.waitFor(() => expect(config.get("maintenance")).toBe(true), WAIT);
  expect(config.get("margin")).toBe(0.25);
  await other.delete("/tollgate/config/margin");
  await vi.waitFor(() => expect(config.get("margin")).toBe(0.5), WAIT);
});

test("during an outage the last known values stay in force, the status says so, and what was missed comes after it", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  await config.set({ name: "maintenance", value: true, actor: "a" });
  await proxy.down();
  await vi.waitFor(() => expect(config.status().isHealthy).toBe(false), WAIT);
  expect(config.status()).toMatchObject({ isSynced: true, staleSince: expect.any(Date) });
  expect(config.get("maintenance")).toBe(true);
  await expect(config.set({ name: "maintenance", value: false, actor: "a" })).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  await other.put("/tollgate/config/maintenance", "false");
  expect(config.get("maintenance")).toBe(true);
  await proxy.up();
  await vi.waitFor(() => expect(config.get("maintenance")).toBe(false), WAIT);
  await vi.waitFor(() => expect(config.status()).toEqual({ isHealthy: true, isSynced: true, staleSince: null }), WAIT);
});

test("a process that starts during an outage runs on the defaults and says so", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await other.put("/tollgate/config/logLevel", '"debug"');
  await proxy.down();
  const config = new DynamicConfig({ store, clock: systemClock, logger: silentLogger, table: SETTINGS });
  onTestFinished(() => config.close());
  expect(await config.waitUntilSynced(50)).toBe(false);
  expect(config.get("logLevel")).toBe("info");
  expect(config.status()).toMatchObject({ isHealthy: false, isSynced: false });
  await proxy.up();
  await vi.waitFor(() => expect(config.get("logLevel")).toBe("debug"), WAIT);
  expect(config.status().isSynced).toBe(true);
});

test("operators see every setting as JSON, and a listener that throws does not silence the next", async () => {
  const { store } = await storeFixture(onTestFinished);
  const config = await openConfig(store);
  const heard = vi.fn();
  config.onChange("signupPromoMicros", () => {
    throw new Error("broken listener");
  });
  const stop = config.onChange("signupPromoMicros", heard);
  await config.set({ name: "signupPromoMicros", value: "5000000", actor: "a" });
  await config.set({ name: "signupPromoMicros", value: "5000000", actor: "a" });
  expect(heard).toHaveBeenCalledExactlyOnceWith(5_000_000n, 0n);
  stop();
  await config.set({ name: "signupPromoMicros", value: "1", actor: "a" });
  expect(heard).toHaveBeenCalledTimes(1);
  const views = config.list();
  expect(views.map(({ name }) => name)).toEqual(Object.keys(SETTINGS));
  expect(views.find(({ name }) => name === "signupPromoMicros")).toMatchObject({ value: "1", default: "0" });
  expect(() => JSON.stringify(views)).not.toThrow();
});
