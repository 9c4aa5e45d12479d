import { silentLogger, systemClock } from "@tollgate/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { storeFixture } from "../test/storeFixture.ts";
import type { EtcdStore } from "./store.ts";
import { UpstreamRegistry, upstreamKey } from "./upstreamRegistry.ts";

const WAIT = { timeout: 10_000, interval: 20 };

async function openRegistry(store: EtcdStore, reconnectGraceMs?: number): Promise<UpstreamRegistry> {
  const registry = new UpstreamRegistry({
    store,
    clock: systemClock,
    logger: silentLogger,
    ...(reconnectGraceMs === undefined ? {} : { reconnectGraceMs }),
  });
  onTestFinished(() => registry.close());
  await registry.waitUntilSynced(5_000);
  return registry;
}

const put = (store: EtcdStore, api: string, id: string, url = `http://10.0.0.1:8000/`): Promise<void> =>
  store.put(upstreamKey(api, id), JSON.stringify({ url }));
const ids = (registry: UpstreamRegistry, api: string): string[] =>
  registry.instances(api).map((instance) => instance.id);

test("instances that registered before and after the start are known, with defaults filled in", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  await put(other, "qr", "one");
  const registry = await openRegistry(store);
  expect(registry.instances("qr")).toEqual([{ id: "one", url: "http://10.0.0.1:8000", weight: 1, metadata: {} }]);
  await other.put(
    upstreamKey("qr", "two"),
    JSON.stringify({ url: "https://two.example/base", weight: 3, metadata: { zone: "b" } }),
  );
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual(["one", "two"]), WAIT);
  expect(registry.instances("qr")[1]).toEqual({
    id: "two",
    url: "https://two.example/base",
    weight: 3,
    metadata: { zone: "b" },
  });
  expect(registry.instances("nobody")).toEqual([]);
  expect(registry.apis()).toEqual(["qr"]);
});

test("an instance that deregisters is gone at once, the last one too", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  await put(other, "qr", "one");
  await put(other, "qr", "two");
  const registry = await openRegistry(store);
  await other.delete(upstreamKey("qr", "one"));
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual(["two"]), WAIT);
  await other.delete(upstreamKey("qr", "two"));
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual([]), WAIT);
  expect(registry.apis()).toEqual([]);
});

test("entries that are not valid are skipped and do not disturb the others", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  await other.put("/tollgate/upstreams/qr/not-json", "not json");
  await other.put("/tollgate/upstreams/qr/no-url", "{}");
  await other.put("/tollgate/upstreams/qr/ftp", JSON.stringify({ url: "ftp://example.com" }));
  await other.put("/tollgate/upstreams/qr/weight", JSON.stringify({ url: "http://example.com", weight: -1 }));
  await other.put("/tollgate/upstreams/qr/a/b", JSON.stringify({ url: "http://example.com" }));
  await other.put("/tollgate/upstreams/qr", JSON.stringify({ url: "http://example.com" }));
  await put(other, "qr", "valid");
  const registry = await openRegistry(store);
  expect(ids(registry, "qr")).toEqual(["valid"]);
  expect(registry.apis()).toEqual(["qr"]);
  await other.put(upstreamKey("qr", "valid"), "no longer json");
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual([]), WAIT);
});

test("listeners hear each change once, and one that throws does not silence the next", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const registry = await openRegistry(store);
  const heard: string[] = [];
  registry.onChange(() => {
    throw new Error("broken listener");
  });
  const stop = registry.onChange((api, instances) => heard.push(`${api}:${instances.map(({ id }) => id).join("+")}`));
  await put(other, "qr", "one");
  await put(other, "qr", "one");
  await put(other, "qr", "two");
  await vi.waitFor(() => expect(heard).toEqual(["qr:one", "qr:one+two"]), WAIT);
  stop();
  await put(other, "qr", "three");
  await vi.waitFor(() => expect(ids(registry, "qr")).toHaveLength(3), WAIT);
  expect(heard).toHaveLength(2);
});

test("during an outage the last known instances stay, and the status says since when", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await put(other, "qr", "one");
  const registry = await openRegistry(store);
  expect(registry.status()).toEqual({ isHealthy: true, staleSince: null, heldApis: [] });
  await proxy.down();
  await vi.waitFor(() => expect(registry.status().isHealthy).toBe(false), WAIT);
  expect(registry.status().staleSince).toBeInstanceOf(Date);
  expect(ids(registry, "qr")).toEqual(["one"]);
});

test("what changed during an outage is seen after it: a deletion beside a living instance at once", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await put(other, "qr", "stays");
  await put(other, "qr", "goes");
  const registry = await openRegistry(store);
  await proxy.down();
  await other.delete(upstreamKey("qr", "goes"));
  await put(other, "text", "new");
  await proxy.up();
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual(["stays"]), WAIT);
  expect(ids(registry, "text")).toEqual(["new"]);
});

test("an API that lost every instance over a reconnect keeps them until one registers again", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  for (const [api, id] of [
    ["qr", "one"],
    ["qr", "two"],
    ["text", "one"],
  ] as const)
    await put(other, api, id);
  const registry = await openRegistry(store, 60_000);
  await proxy.down();
  for (const [api, id] of [
    ["qr", "one"],
    ["qr", "two"],
    ["text", "one"],
  ] as const)
    await other.delete(upstreamKey(api, id));
  await proxy.up();
  await vi.waitFor(() => expect(registry.status().heldApis).toEqual(["qr", "text"]), WAIT);
  expect(ids(registry, "qr")).toEqual(["one", "two"]);
  await put(other, "qr", "three");
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual(["three"]), WAIT);
  expect(registry.status().heldApis).toEqual(["text"]);
  expect(ids(registry, "text")).toEqual(["one"]);
});

test("an API whose leases run out just after a reconnect keeps its instances through the grace as well", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await put(other, "qr", "one");
  const registry = await openRegistry(store, 60_000);
  await proxy.down();
  await proxy.up();
  await vi.waitFor(() => expect(registry.status().isHealthy).toBe(true), WAIT);
  await other.delete(upstreamKey("qr", "one"));
  await vi.waitFor(() => expect(registry.status().heldApis).toEqual(["qr"]), WAIT);
  expect(ids(registry, "qr")).toEqual(["one"]);
});

test("instances that nobody renewed are gone when the grace after a reconnect is over", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await put(other, "qr", "one");
  const registry = await openRegistry(store, 200);
  const changes: number[] = [];
  registry.onChange((_api, instances) => changes.push(instances.length));
  await proxy.down();
  await other.delete(upstreamKey("qr", "one"));
  await proxy.up();
  await vi.waitFor(() => expect(ids(registry, "qr")).toEqual([]), WAIT);
  expect(changes).toEqual([0]);
  expect(registry.status()).toEqual({ isHealthy: true, staleSince: null, heldApis: [] });
});

test("a key is refused for names that would not be one key", () => {
  expect(() => upstreamKey("a/b", "one")).toThrow(RangeError);
  expect(() => upstreamKey("", "one")).toThrow(RangeError);
});
