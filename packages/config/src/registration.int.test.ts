import { silentLogger } from "@tollgate/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { storeFixture } from "../test/storeFixture.ts";
import { keepLease } from "./leaseKeeper.ts";
import type { Registration } from "./registration.ts";
import { keepRegistered } from "./registration.ts";
import type { EtcdStore } from "./store.ts";

const WAIT = { timeout: 15_000, interval: 20 };

function register(store: EtcdStore, key: string): Registration {
  const registration = keepRegistered({ store, logger: silentLogger, key, value: "here", ttlSeconds: 2 });
  onTestFinished(() => registration.close());
  return registration;
}

test("a registration outlives its time to live while the process does, and goes at once when it is closed", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const registration = register(store, "/r/a");
  expect(await registration.waitUntilRegistered(5_000)).toBe(true);
  const before = await other.get("/r/a");
  const gone = vi.fn();
  const watch = other.watchPrefix("/r/", { onState: () => {}, onPut: () => {}, onDelete: gone });
  await watch.waitUntilSynced(5_000);
  // A marker under a lease of the same length that nobody keeps alive shows that the time has passed.
  const unkept = await other.grantLease(2);
  await other.put("/marker", "x", { leaseId: unkept.id });
  await vi.waitFor(async () => expect(await other.get("/marker")).toBeUndefined(), WAIT);
  expect(await other.get("/r/a")).toEqual(before);
  expect(gone).not.toHaveBeenCalled();
  await registration.close();
  expect(await other.get("/r/a")).toBeUndefined();
  expect(registration.isRegistered()).toBe(false);
});

test("a registration comes back after the store lost it during an outage", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const registration = register(store, "/r/b");
  await registration.waitUntilRegistered(5_000);
  await proxy.down();
  await vi.waitFor(async () => expect(await other.get("/r/b")).toBeUndefined(), WAIT);
  await vi.waitFor(() => expect(registration.isRegistered()).toBe(false), WAIT);
  await proxy.up();
  await vi.waitFor(async () => expect((await other.get("/r/b"))?.value).toBe("here"), WAIT);
  await vi.waitFor(() => expect(registration.isRegistered()).toBe(true), WAIT);
});

test("an outage shorter than the time to live changes nothing", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const registration = register(store, "/r/c");
  await registration.waitUntilRegistered(5_000);
  const before = await other.get("/r/c");
  await proxy.down();
  await proxy.up();
  const unkept = await other.grantLease(2);
  await other.put("/marker", "x", { leaseId: unkept.id });
  await vi.waitFor(async () => expect(await other.get("/marker")).toBeUndefined(), WAIT);
  expect(await other.get("/r/c")).toEqual(before);
});

test("a registration removed by somebody else is written again", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const registration = register(store, "/r/d");
  await registration.waitUntilRegistered(5_000);
  await other.delete("/r/d");
  await vi.waitFor(async () => expect((await other.get("/r/d"))?.value).toBe("here"), WAIT);
});

test("a registration begun during an outage is made when the store is there", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await proxy.down();
  const registration = register(store, "/r/e");
  expect(await registration.waitUntilRegistered(100)).toBe(false);
  await proxy.up();
  expect(await registration.waitUntilRegistered(10_000)).toBe(true);
  expect((await other.get("/r/e"))?.value).toBe("here");
});

test("a lease counts as lost when its time has passed without an answer, even if a call hangs", async () => {
  const startedMs = performance.now();
  const ended = await keepLease(
    { id: "1", ttlMs: 300, sentMs: startedMs, keepAlive: () => new Promise(() => {}), revoke: async () => {} },
    new AbortController().signal,
  );
  expect(ended).toBe("lost");
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeGreaterThanOrEqual(299);
  expect(tookMs).toBeLessThan(1_000);
});
