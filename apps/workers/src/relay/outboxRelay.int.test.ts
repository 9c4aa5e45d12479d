import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { EVENT_SUBJECT_PREFIX, laneOf, partitionOf, settleJob } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import { createLogger, newId, silentLogger, systemClock } from "@tollgate/kernel";

import { EVENT_STREAM, jetstreamManager, PushBus, Queues } from "@tollgate/messaging";
import type { TestDatabase, TestNamespace } from "@tollgate/testing";
import { createTestDatabase, createTestNamespace } from "@tollgate/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Leadership } from "./outboxRelay.ts";
import { NO_LEADERSHIP, OutboxRelay } from "./outboxRelay.ts";

let testDatabase: TestDatabase;
let namespace: TestNamespace;
let database: Database;
let queues: Queues;
let listener: PushBus;
let subject: string;
let heard: { subject: string; id: string; data: { n: number } }[];
let closers: (() => Promise<unknown>)[];

beforeAll(async () => {
  [testDatabase, namespace] = await Promise.all([createTestDatabase(), createTestNamespace()]);
  database = createDatabase({ url: testDatabase.url, applicationName: "relay test", connectionsMax: 6 });
  queues = new Queues({ redisUrl: namespace.redisUrl, prefix: namespace.redisPrefix, onError: () => undefined });
  listener = new PushBus({ url: namespace.natsUrl, name: "relay test", logger: silentLogger });
  await new Promise<void>((resolve) => listener.onConnected(resolve));
  listener.subscribe(`${EVENT_SUBJECT_PREFIX}>`, (data, on) => {
    heard.push({ ...(data as (typeof heard)[number]), subject: on });
  });
});

afterAll(async () => {
  await Promise.all([listener.close(), queues.close(), database.close()]);
  await testDatabase.drop();
});

beforeEach(async () => {
  heard = [];
  closers = [];
  subject = `lab.${newId("event").toLowerCase()}`;
  await database.sql`delete from outbox`;
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

function startRelay(
  natsUrl = namespace.natsUrl,
  logged: string[] = [],
  leadership: Leadership = NO_LEADERSHIP,
): OutboxRelay {
  const logger = createLogger({ name: "relay", level: "error" }, { write: (line: string) => logged.push(line) });
  const bus = new PushBus({ url: natsUrl, name: "relay", logger: silentLogger });
  const relay = new OutboxRelay({ database, bus, queues, clock: systemClock, logger, leadership });
  relay.start();
  closers.push(
    () => bus.close(),
    () => relay.stop(),
  );
  return relay;
}

/** Rows of the outbox, all of one instant, as a transaction appends them one after the other. */
async function order(
  kind: "event" | "job",
  name: string,
  payloads: readonly Record<string, unknown>[],
  minutesAgo = 0,
): Promise<void> {
  const beganAt = systemClock.nowMs() - minutesAgo * 60_000;
  const rows = payloads.map((payload, index) => ({
    id: newId(kind),
    kind,
    name,
    version: 1,
    payload: database.sql.json(payload as never) as never,
    actor: "system:lab",
    request_id: "req_1",
    created_at: new Date(beganAt),
    ordinal: index,
  }));
  await database.sql`insert into outbox ${database.sql(rows)}`;
}

const settlementOf = (account: string): Record<string, unknown> => ({
  billingAccountIds: [account],
  before: "2026-03-01T00:00:00Z",
});

const events = (count: number): Record<string, unknown>[] => Array.from({ length: count }, (_, n) => ({ n }));

async function unsent(): Promise<number> {
  const [row] = await database.sql`select count(*) as n from outbox where sent_at is null`;
  return Number(row?.["n"]);
}

const natsSubject = () => `${EVENT_SUBJECT_PREFIX}${subject}.${partitionOf(laneOf(subject, {}))}`;
const heardHere = () => heard.filter((event) => event.subject === natsSubject());
/** In the order of their first copies: one that was not acknowledged is sent again under the same id. */
const numbers = () => [...new Map(heardHere().map((event) => [event.id, event.data.n])).values()];

async function jobIds(): Promise<string[]> {
  const jobs = await queues.queue(settleJob.queue).getJobs(["waiting", "delayed", "active", "prioritized"]);
  return jobs
    .filter((job) => job.name === settleJob.name)
    .map((job) => String(job.data.billingAccountIds?.[0] ?? job.id));
}

/** A way to NATS that is closed until it is opened. */
async function gateToNats(): Promise<{ url: string; open: () => Promise<void>; shut: () => Promise<void> }> {
  const target = new URL(namespace.natsUrl.includes("://") ? namespace.natsUrl : `nats://${namespace.natsUrl}`);
  const sockets = new Set<Socket>();
  let server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const shut = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  await shut();
  const open = (): Promise<void> => {
    server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
      }
      client.pipe(upstream).pipe(client);
    });
    return new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  };
  closers.push(shut);
  return { url: `nats://127.0.0.1:${port}`, open, shut };
}

describe("the relay", () => {
  it("publishes what was committed, in order, and stamps it", async () => {
    await order("event", subject, events(700));
    startRelay();
    await expect.poll(unsent, { timeout: 10_000 }).toBe(0);
    await expect.poll(numbers).toEqual(events(700).map(({ n }) => n));
    expect(heardHere()[0]).toMatchObject({ actor: "system:lab", requestId: "req_1", version: 1 });
  });

  it("stores each event once, although two relays send it", async () => {
    await order("event", subject, events(100));
    startRelay();
    startRelay();
    await expect.poll(unsent, { timeout: 10_000 }).toBe(0);
    const { connection } = listener;
    if (connection === undefined) throw new Error("no connection to NATS");
    const manager = await jetstreamManager(connection);
    const name = natsSubject();
    const info = await manager.streams.info(EVENT_STREAM, { subjects_filter: name });
    expect(info.state.subjects).toEqual({ [name]: 100 });
  });

  it("keeps events while NATS is away, sends them in order when it is back, and does not lose its way when it goes again", async () => {
    const gate = await gateToNats();
    await order("event", subject, events(5));
    startRelay(gate.url);
    await order("job", settleJob.name, [settlementOf(newId("billingAccount"))]);
    // The job has left, so the relay has been through: the events have not.
    await expect.poll(unsent, { timeout: 5_000 }).toBe(5);
    await gate.open();
    await expect.poll(unsent, { timeout: 10_000 }).toBe(0);
    await gate.shut();
    await order("event", subject, [{ n: 5 }]);
    await gate.open();
    await expect.poll(unsent, { timeout: 10_000 }).toBe(0);
    await expect.poll(numbers).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("orders jobs although more events wait for NATS than it reads at once", async () => {
    const account = newId("billingAccount");
    await order("event", subject, events(600), 60);
    await order("job", settleJob.name, [settlementOf(account)]);
    startRelay("nats://127.0.0.1:1");
    await expect.poll(jobIds, { timeout: 5_000 }).toContain(account);
    expect(await unsent()).toBe(600);
  });

  it.each([
    ["a job that nobody knows", "lab.unknown", {}],
    ["a job whose payload is not what its contract says", settleJob.name, { billingAccountIds: "not a list" }],
  ])("logs %s, and goes on to the next", async (_, name, payload) => {
    const account = newId("billingAccount");
    const logged: string[] = [];
    await order("job", name, [payload], 5);
    await order("job", settleJob.name, [settlementOf(account)]);
    startRelay(namespace.natsUrl, logged);
    await expect.poll(jobIds, { timeout: 5_000 }).toContain(account);
    await expect.poll(unsent).toBe(0);
    expect(logged.join("")).toContain(name);
  });
});

/** A say over who leads, that tests have; and whether the relay has noticed that it does not. */
function leadershipInHand(leads: boolean): Leadership & { leads: boolean; hasLookedOn: boolean } {
  const inHand = {
    leads,
    hasLookedOn: false,
    isLeader: () => {
      if (!inHand.leads) inHand.hasLookedOn = true;
      return inHand.leads;
    },
    isSettled: () => true,
  };
  return inHand;
}

async function term(): Promise<bigint> {
  const [row] = await database.sql`select coalesce(max(term), 0)::text as term from relay_terms`;
  return BigInt(row?.["term"]);
}

describe("relays of which one leads", () => {
  const WAIT = { timeout: 60_000 };
  // A test that ended before its polls would go on writing into the next one.
  const LIMIT_MS = 300_000;

  it("lose no event, double none and keep their order while the lead goes to and fro", {
    timeout: LIMIT_MS,
  }, async () => {
    let [leader, other] = [leadershipInHand(true), leadershipInHand(false)];
    const atFirst = await term();
    startRelay(namespace.natsUrl, [], leader);
    startRelay(namespace.natsUrl, [], other);
    // Otherwise the first one's first term would pass for the second's.
    await expect.poll(term, WAIT).toBeGreaterThan(atFirst);
    const all = events(600);
    for (let from = 0; from < all.length; from += 100) {
      const before = await term();
      await order("event", subject, all.slice(from, from + 100));
      [leader, other] = [other, leader];
      other.hasLookedOn = false;
      other.leads = false;
      leader.leads = true;
      await expect.poll(term, WAIT).toBeGreaterThan(before);
      // One that has not noticed keeps its term, and begins no other when it leads again.
      const deposed = other;
      await expect.poll(() => deposed.hasLookedOn, WAIT).toBe(true);
    }
    await expect.poll(unsent, WAIT).toBe(0);
    await expect.poll(numbers, WAIT).toEqual(all.map(({ n }) => n));
    const { connection } = listener;
    if (connection === undefined) throw new Error("no connection to NATS");
    const manager = await jetstreamManager(connection);
    const info = await manager.streams.info(EVENT_STREAM, { subjects_filter: natsSubject() });
    expect(info.state.subjects).toEqual({ [natsSubject()]: 600 });
  });

  it("send nothing under a term that another has overtaken", { timeout: LIMIT_MS }, async () => {
    const before = await term();
    startRelay(namespace.natsUrl, [], leadershipInHand(true));
    await expect.poll(term, WAIT).toBeGreaterThan(before);
    await database.sql`update relay_terms set term = term + 10, holder = 'another'`;
    const overtaken = await term();
    await order("event", subject, events(5));
    await expect.poll(unsent, WAIT).toBe(0);
    // Only a term of its own, later than the other's, lets it send.
    expect(await term()).toBeGreaterThan(overtaken);
    await expect.poll(numbers, WAIT).toEqual([0, 1, 2, 3, 4]);
  });

  it("stand in for a leader that is dead", { timeout: LIMIT_MS }, async () => {
    await order("event", subject, events(5));
    startRelay(namespace.natsUrl, [], leadershipInHand(false));
    await expect.poll(unsent, WAIT).toBe(0);
    await expect.poll(numbers, WAIT).toEqual([0, 1, 2, 3, 4]);
  });
});
