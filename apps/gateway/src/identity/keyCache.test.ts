import { silentLogger, TestClock } from "@tollgate/kernel";
import type { KeyRecord } from "@tollgate/services/keys";
import { generateKeyText, hashKey } from "@tollgate/services/keys";
import { beforeEach, describe, expect, it } from "vitest";
import { keyRecord } from "../testing/records.ts";
import { KeyCache } from "./keyCache.ts";

let clock: TestClock;
let isPushAlive: boolean;
let loads: { hash: string; answer: (record: KeyRecord | undefined) => void; fail: (error: Error) => void }[];
let cache: KeyCache<{ record: KeyRecord }>;

beforeEach(() => {
  clock = new TestClock();
  isPushAlive = true;
  loads = [];
  cache = new KeyCache({
    clock,
    logger: silentLogger,
    entriesMax: 100,
    isPushAlive: () => isPushAlive,
    ports: {
      load: (hash) => new Promise((answer, fail) => loads.push({ hash, answer, fail })),
      toEntry: (record) => ({ record }),
    },
  });
});

const key = generateKeyText("live");
const connection = {};
const find = (text = key) => cache.find(text, clock.nowMs(), connection);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function know(record = keyRecord()): Promise<void> {
  const loading = cache.load(key);
  loads.at(-1)?.answer(record);
  await loading;
}

describe("keys in memory", () => {
  it("are asked for once, however many calls wait", async () => {
    const waiting = [cache.load(key), cache.load(key), cache.load(key)];
    expect(loads.map(({ hash }) => hash)).toEqual([hashKey(key)]);
    loads[0]?.answer(keyRecord());
    const entries = await Promise.all(waiting);
    expect(new Set(entries).size).toBe(1);
    expect(find()).toBe(entries[0]);
  });

  it("are told apart when they come over one connection", async () => {
    await know();
    const other = generateKeyText("live");
    const seen = [find(), find(other), find(), find("made up"), find()];
    expect(seen.map((entry) => entry?.record.keyId ?? entry)).toEqual(["key_1", undefined, "key_1", null, "key_1"]);
    cache.invalidate(hashKey(key));
    expect(find()).toBeUndefined();
  });

  it("are refused unasked when they cannot be keys", () => {
    expect(find(`${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`)).toBeNull();
    expect(find("made up")).toBeNull();
    expect(find()).toBeUndefined();
  });

  it.each([
    ["a minute while events flow", true, 60_000],
    ["ten seconds while they do not", false, 10_000],
  ])("are trusted for %s", async (_, isAlive, trustedMs) => {
    await know();
    isPushAlive = isAlive;
    clock.advanceMs(trustedMs - 1);
    expect(find()).toMatchObject({ record: { keyId: "key_1" } });
    clock.advanceMs(1);
    expect(find()).toBeUndefined();
  });

  it("in use are looked up again while they are trusted, so that their calls do not wait", async () => {
    await know();
    clock.advanceMs(29_999);
    find();
    expect(loads).toHaveLength(1);
    clock.advanceMs(1);
    const before = find();
    expect([before?.record.keyId, find()?.record.keyId, loads.length]).toEqual(["key_1", "key_1", 2]);
    loads[1]?.fail(new Error("no database"));
    await turn();
    find();
    expect(loads).toHaveLength(2);
    clock.advanceMs(1_000);
    find();
    loads[2]?.answer(keyRecord());
    await turn();
    clock.advanceMs(29_999);
    // What has not changed stays what it is, with all that was made of it.
    expect(find()).toBe(before);
    clock.advanceMs(1);
    find();
    loads[3]?.answer(keyRecord({ status: "blocked" }));
    await turn();
    expect(find()).toMatchObject({ record: { status: "blocked" } });
    clock.advanceMs(30_000);
    find();
    loads[4]?.answer(undefined);
    await turn();
    expect(find()).toBeNull();
  });

  it("are trusted from when they were asked for, not from when the answer came", async () => {
    const loading = cache.load(key);
    clock.advanceMs(9_000);
    loads[0]?.answer(keyRecord());
    await loading;
    isPushAlive = false;
    clock.advanceMs(1_000);
    expect(find()).toBeUndefined();
  });

  it("that nobody has are remembered for ten seconds, and forgotten when an event names them", async () => {
    const loading = cache.load(key);
    loads[0]?.answer(undefined);
    expect(await loading).toBeUndefined();
    expect(find()).toBeNull();
    clock.advanceMs(10_000);
    expect(find()).toBeUndefined();
    const again = cache.load(key);
    loads[1]?.answer(undefined);
    await again;
    cache.invalidate(hashKey(key));
    expect(find()).toBeUndefined();
  });

  it("are gone when an event names them, their project or anything above", async () => {
    await know();
    cache.invalidate(hashKey(key));
    expect(find()).toBeUndefined();
    await know();
    cache.invalidateWhere((record) => record.project.id === "prj_2");
    expect(find()).toBeDefined();
    cache.invalidateWhere((record) => record.project.id === "prj_1");
    expect(find()).toBeUndefined();
  });

  it("are loaded once when what changes meanwhile is none of theirs, however often it does", async () => {
    const loading = cache.load(key);
    for (let event = 0; event < 1_000; event += 1) cache.invalidateWhere((record) => record.project.id === "prj_2");
    loads[0]?.answer(keyRecord());
    await loading;
    expect(loads).toHaveLength(1);
    expect(find()).toBeDefined();
  });

  it.each([
    ["names the key", () => cache.invalidate(hashKey(key))],
    ["may concern any key", () => cache.invalidateWhere(() => true)],
  ])("are loaded again when an event that %s comes during the load", async (_, invalidate) => {
    const loading = cache.load(key);
    invalidate();
    loads[0]?.answer(keyRecord({ status: "active" }));
    await Promise.resolve();
    await Promise.resolve();
    expect(find()).toBeUndefined();
    expect(loads).toHaveLength(2);
    loads[1]?.answer(keyRecord({ status: "revoked" }));
    expect(await loading).toMatchObject({ record: { status: "revoked" } });
    expect(find()).toMatchObject({ record: { status: "revoked" } });
  });

  it("can be asked for again after a load that failed", async () => {
    const loading = cache.load(key);
    loads[0]?.fail(new Error("no database"));
    await expect(loading).rejects.toThrow("no database");
    expect(find()).toBeUndefined();
    await know();
    expect(find()).toBeDefined();
  });
});
