import { TollgateError } from "@tollgate/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { storeFixture } from "../test/storeFixture.ts";
import type { PrefixHandlers } from "./store.ts";

/** Keeps a map in step by the handlers alone, as a user of the watch would. */
function mirror(): { map: Map<string, string>; states: boolean[]; handlers: PrefixHandlers } {
  const map = new Map<string, string>();
  const states: boolean[] = [];
  return {
    map,
    states,
    handlers: {
      onState: (entries, { isReconnect }) => {
        states.push(isReconnect);
        map.clear();
        for (const { key, value } of entries) map.set(key, value);
      },
      onPut: ({ key, value }) => map.set(key, value),
      onDelete: (key) => map.delete(key),
    },
  };
}

const WAIT = { timeout: 10_000, interval: 20 };

test("a value is read back with the revision that compare-and-set needs", async () => {
  const { store } = await storeFixture(onTestFinished);
  expect(await store.get("/a")).toBeUndefined();
  await store.put("/a", "one");
  const entry = await store.get("/a");
  expect(entry).toMatchObject({ key: "/a", value: "one" });
  expect(await store.compareAndSet("/a", entry?.revision ?? 0n, "two")).toBe(true);
  expect(await store.compareAndSet("/a", entry?.revision ?? 0n, "three")).toBe(false);
  expect((await store.get("/a"))?.value).toBe("two");
});

test("compare-and-set at revision 0 creates a key and never overwrites one", async () => {
  const { store } = await storeFixture(onTestFinished);
  expect(await store.compareAndSet("/new", 0n, "first")).toBe(true);
  expect(await store.compareAndSet("/new", 0n, "second")).toBe(false);
  expect((await store.get("/new"))?.value).toBe("first");
});

test("delete says whether the key was there", async () => {
  const { store } = await storeFixture(onTestFinished);
  await store.put("/gone", "x");
  expect(await store.delete("/gone")).toBe(true);
  expect(await store.delete("/gone")).toBe(false);
});

test("list returns the keys of a prefix and no neighbour's", async () => {
  const { store } = await storeFixture(onTestFinished);
  for (const key of ["/p/b", "/p/a", "/p", "/q", "/p0"]) await store.put(key, key);
  expect((await store.list("/p/")).map((entry) => entry.key)).toEqual(["/p/a", "/p/b"]);
});

test("a watch delivers the state there is and then every change", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  await other.put("/w/a", "1");
  const { map, states, handlers } = mirror();
  const watch = store.watchPrefix("/w/", handlers);
  expect(await watch.waitUntilSynced(5_000)).toBe(true);
  expect(map).toEqual(new Map([["/w/a", "1"]]));
  await other.put("/w/b", "2");
  await other.put("/w/a", "3");
  await other.delete("/w/b");
  await other.put("/elsewhere", "x");
  await vi.waitFor(() => expect(map).toEqual(new Map([["/w/a", "3"]])), WAIT);
  expect(states).toEqual([false]);
  expect(watch.status()).toEqual({ isHealthy: true, staleSince: null });
});

test("a change made between the listing and the start of the watch is not missed", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const { map, handlers } = mirror();
  const watch = store.watchPrefix("/race/", {
    ...handlers,
    onState: (entries, info) => {
      handlers.onState(entries, info);
      // The watch stream is not open yet when the state is handed over.
      void other.put("/race/late", "seen");
    },
  });
  await watch.waitUntilSynced(5_000);
  await vi.waitFor(() => expect(map.get("/race/late")).toBe("seen"), WAIT);
});

test("an outage keeps what is known, says since when, and ends with what changed meanwhile", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await other.put("/o/kept", "1");
  await other.put("/o/deleted", "1");
  const { map, states, handlers } = mirror();
  const watch = store.watchPrefix("/o/", handlers);
  await watch.waitUntilSynced(5_000);

  await proxy.down();
  await vi.waitFor(() => expect(watch.status().isHealthy).toBe(false), WAIT);
  const { staleSince } = watch.status();
  expect(staleSince).toBeInstanceOf(Date);
  expect(store.status().isHealthy).toBe(false);
  await other.put("/o/added", "2");
  await other.delete("/o/deleted");
  expect([...map.keys()]).toEqual(["/o/deleted", "/o/kept"]);

  await proxy.up();
  await vi.waitFor(() => expect([...map.keys()]).toEqual(["/o/added", "/o/kept"]), WAIT);
  await vi.waitFor(() => expect(watch.status()).toEqual({ isHealthy: true, staleSince: null }), WAIT);
  expect(states).toEqual([false, true]);
  await other.put("/o/after", "3");
  await vi.waitFor(() => expect(map.get("/o/after")).toBe("3"), WAIT);
});

test("a watch survives that the history it missed was compacted away", async () => {
  const { store, other, proxy, compact } = await storeFixture(onTestFinished);
  const { map, handlers } = mirror();
  const watch = store.watchPrefix("/c/", handlers);
  await watch.waitUntilSynced(5_000);
  await proxy.down();
  for (let value = 1; value <= 5; value += 1) await other.put("/c/a", String(value));
  await compact();
  await proxy.up();
  await vi.waitFor(() => expect(map.get("/c/a")).toBe("5"), WAIT);
  await other.put("/c/a", "6");
  await vi.waitFor(() => expect(map.get("/c/a")).toBe("6"), WAIT);
});

test("a watch begun during an outage is not synced, and is as soon as the store is there", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  await other.put("/b/a", "1");
  await proxy.down();
  const { map, handlers } = mirror();
  const watch = store.watchPrefix("/b/", handlers);
  expect(await watch.waitUntilSynced(100)).toBe(false);
  expect(watch.status().isHealthy).toBe(false);
  await proxy.up();
  expect(await watch.waitUntilSynced(10_000)).toBe(true);
  expect(map.get("/b/a")).toBe("1");
});

test("a handler that throws does not end the watch", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const seen: string[] = [];
  const watch = store.watchPrefix("/t/", {
    onState: () => {
      throw new Error("broken handler");
    },
    onPut: ({ key }) => {
      seen.push(key);
      throw new Error("broken handler");
    },
    onDelete: () => {},
  });
  await watch.waitUntilSynced(5_000);
  await other.put("/t/1", "x");
  await other.put("/t/2", "x");
  await vi.waitFor(() => expect(seen).toEqual(["/t/1", "/t/2"]), WAIT);
});

test("a closed watch delivers nothing more", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const closed = mirror();
  const open = mirror();
  const closedWatch = store.watchPrefix("/x/", closed.handlers);
  const openWatch = store.watchPrefix("/x/", open.handlers);
  await Promise.all([closedWatch.waitUntilSynced(5_000), openWatch.waitUntilSynced(5_000)]);
  closedWatch.close();
  await other.put("/x/a", "1");
  await vi.waitFor(() => expect(open.map.get("/x/a")).toBe("1"), WAIT);
  expect(closed.map.size).toBe(0);
});

test("a call during an outage fails as unavailable, and works at once when the outage is over", async () => {
  const { store, proxy } = await storeFixture(onTestFinished);
  await store.put("/u", "1");
  await proxy.down();
  const failures = await Promise.all(
    Array.from({ length: 10 }, () =>
      store.get("/u").then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  );
  for (const failure of failures) {
    expect(failure).toBeInstanceOf(TollgateError);
    expect(failure).toMatchObject({ code: "UNAVAILABLE", reason: "etcd_unavailable", isRetryable: true });
  }
  await proxy.up();
  const startedMs = performance.now();
  expect((await store.get("/u"))?.value).toBe("1");
  // The library's own circuit breaker would refuse for five seconds more.
  expect(performance.now() - startedMs).toBeLessThan(2_500);
  expect(store.status().isHealthy).toBe(true);
});
