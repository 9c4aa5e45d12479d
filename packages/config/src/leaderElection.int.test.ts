import { silentLogger } from "@tollgate/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { storeFixture } from "../test/storeFixture.ts";
import { LEADERS_PREFIX, LeaderElection } from "./leaderElection.ts";
import type { EtcdStore } from "./store.ts";

const WAIT = { timeout: 15_000, interval: 20 };

function candidate(store: EtcdStore, events: string[] = [], label = ""): LeaderElection {
  const election = new LeaderElection({
    store,
    logger: silentLogger,
    name: "relay",
    ttlSeconds: 2,
    onElected: () => events.push(`${label} elected`),
    onLost: () => events.push(`${label} lost`),
  });
  onTestFinished(() => election.resign());
  election.campaign();
  return election;
}

test("of several candidates one leads, and when it resigns another does at once with a greater token", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const candidates = [candidate(store), candidate(other), candidate(store)];
  const leaders = (): LeaderElection[] => candidates.filter((each) => each.isLeader());
  await vi.waitFor(() => expect(leaders()).toHaveLength(1), WAIT);
  const tokens: bigint[] = [];
  for (let left = candidates.length; left > 0; left -= 1) {
    await vi.waitFor(() => expect(leaders()).toHaveLength(1), WAIT);
    const [leader] = leaders();
    tokens.push(leader?.fencingToken() ?? -1n);
    await leader?.resign();
    expect(leader?.isLeader()).toBe(false);
    expect(leader?.fencingToken()).toBeUndefined();
  }
  expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
  expect(new Set(tokens).size).toBe(3);
  expect(await other.get(`${LEADERS_PREFIX}relay`)).toBeUndefined();
});

test("a leader that is cut off gives up before another takes over, and stands again when it is back", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const events: string[] = [];
  const first = candidate(store, events, "first");
  await vi.waitFor(() => expect(first.isLeader()).toBe(true), WAIT);
  const second = candidate(other, events, "second");
  await proxy.down();
  await vi.waitFor(() => expect(second.isLeader()).toBe(true), WAIT);
  expect(events).toEqual(["first elected", "first lost", "second elected"]);
  await proxy.up();
  await second.resign();
  await vi.waitFor(() => expect(first.isLeader()).toBe(true), WAIT);
  expect(events).toEqual(["first elected", "first lost", "second elected", "second lost", "first elected"]);
});

test("an outage shorter than the time to live changes no leader", async () => {
  const { store, other, proxy } = await storeFixture(onTestFinished);
  const events: string[] = [];
  const leader = candidate(store, events, "first");
  await vi.waitFor(() => expect(leader.isLeader()).toBe(true), WAIT);
  const token = leader.fencingToken();
  await proxy.down();
  await proxy.up();
  const unkept = await other.grantLease(2);
  await other.put("/marker", "x", { leaseId: unkept.id });
  await vi.waitFor(async () => expect(await other.get("/marker")).toBeUndefined(), WAIT);
  expect(leader.fencingToken()).toBe(token);
  expect(events).toEqual(["first elected"]);
});

test("a leader whose key is deleted from outside stops leading", async () => {
  const { store, other } = await storeFixture(onTestFinished);
  const events: string[] = [];
  const leader = candidate(store, events, "first");
  await vi.waitFor(() => expect(leader.isLeader()).toBe(true), WAIT);
  const token = leader.fencingToken() ?? 0n;
  await other.delete(`${LEADERS_PREFIX}relay`);
  await vi.waitFor(() => expect(events.slice(0, 2)).toEqual(["first elected", "first lost"]), WAIT);
  await vi.waitFor(() => expect(leader.fencingToken() ?? 0n).toBeGreaterThan(token), WAIT);
});

test("whoever stands during an outage is elected after it, and a listener that throws does not end the term", async () => {
  const { store, proxy } = await storeFixture(onTestFinished);
  await proxy.down();
  const election = new LeaderElection({
    store,
    logger: silentLogger,
    name: "relay",
    onElected: () => {
      throw new Error("broken listener");
    },
  });
  onTestFinished(() => election.resign());
  election.campaign();
  expect(election.isLeader()).toBe(false);
  await proxy.up();
  await vi.waitFor(() => expect(election.isLeader()).toBe(true), WAIT);
  await election.resign();
  expect(election.isLeader()).toBe(false);
});
