import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { DomainEvent } from "@tollgate/contracts";
import { projectsDeleted, projectsRenamed } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { appendEvent, createDatabase, withTransaction } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { startServers } from "@tollgate/dev/servers";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import { EVENT_STREAM, jetstreamManager, PushBus, Queues } from "@tollgate/messaging";
import type { ServiceContext } from "@tollgate/services";
import type { Consumer, RetryPolicy } from "@tollgate/services/messages";
import { consumersOf } from "@tollgate/services/messages";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, createTestNamespace } from "@tollgate/testing";
import { sql } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { NO_LEADERSHIP, OutboxRelay } from "../relay/outboxRelay.ts";
import { runConsumers } from "./runConsumers.ts";

/** On a NATS of its own: what is lost here is nobody else's. */
const POLICY: RetryPolicy = { attemptsMax: 3, delayMs: () => 50 };

let testDatabase: TestDatabase;
let database: Database;
let servers: RunningServers;
let bus: PushBus;
let stopRelay: () => Promise<void>;
let closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const namespace = await createTestNamespace();
  testDatabase = await createTestDatabase();
  const dataDir = await mkdtemp(path.join(tmpdir(), "tollgate-consumers-"));
  servers = await startServers({ dataDir, only: ["nats"], ports: "ephemeral", keepData: false, log: () => undefined });
  database = createDatabase({ url: testDatabase.url, applicationName: "consumers", connectionsMax: 12 });
  await database.sql`
    create table effects (consumer text not null, event_id text not null, lane text not null, n int8 not null, request_id text not null,
      traceparent text, at timestamptz not null default clock_timestamp())`;
  bus = new PushBus({ url: servers.natsUrl, name: "consumers", logger: silentLogger });
  const queues = new Queues({
    redisUrl: namespace.redisUrl,
    prefix: namespace.redisPrefix,
    onError: () => undefined,
  });
  const relay = new OutboxRelay({
    database,
    bus,
    queues,
    clock: systemClock,
    logger: silentLogger,
    leadership: NO_LEADERSHIP,
  });
  relay.start();
  stopRelay = async () => {
    await relay.stop();
    await queues.close();
  };
});

afterEach(async () => {
  for (const close of closers) await close();
  closers = [];
});

afterAll(async () => {
  await stopRelay();
  await bus.close();
  await servers.stop();
  await database.close();
  await testDatabase.drop();
});

const contextFor = (task: string): ServiceContext =>
  ({
    clock: systemClock,
    logger: silentLogger,
    actor: { kind: "system", task },
    requestId: newId("request"),
    database,
    db: database.db,
    isInTransaction: false,
    settings: {},
  }) as unknown as ServiceContext;

let consumerCount = 0;

/** A consumer under a name of its own whose effect is a row. What `fail` says goes wrong first. */
function consumer(fail: (event: DomainEvent<"projects.renamed">) => void = () => undefined): Consumer {
  consumerCount += 1;
  const name = `t${newId("event").slice(4, 12).toLowerCase()}${consumerCount}`;
  const write = async (ctx: ServiceContext, event: DomainEvent<"projects.renamed">) => {
    await ctx.db.execute(sql`
      insert into effects (consumer, event_id, lane, n, request_id, traceparent)
      values (${name}, ${event.id}, ${event.data.projectId}, ${Number(event.data.name)}, ${ctx.requestId}, ${ctx.traceparent ?? null})`);
    fail(event);
  };
  const [built] = consumersOf({ [name]: { "projects.renamed": write } });
  if (built === undefined) throw new Error("No consumer");
  return built;
}

function run(...consumers: readonly Consumer[]): void {
  const running = runConsumers({
    consumers,
    contextFor,
    bus,
    clock: systemClock,
    logger: silentLogger,
    policy: POLICY,
  });
  closers.push(() => running.stop());
}

/** Announces renames of a project, each in a transaction of its own. */
async function rename(projectId: string, numbers: readonly number[], ctx = contextFor("test")): Promise<void> {
  for (const n of numbers) {
    await withTransaction(ctx, (ctx) => appendEvent(ctx, projectsRenamed, { projectId, name: String(n) }));
  }
}

async function effects(one: Consumer, lane: string): Promise<number[]> {
  const rows = await database.sql<{ n: string }[]>`
    select n from effects where consumer = ${one.name} and lane = ${lane} order by at`;
  return rows.map(({ n }) => Number(n));
}

async function parked(
  one: Consumer,
): Promise<{ status: string; reason: string; attempts: number; lastError: string | null }[]> {
  const rows = await database.sql`
    select status, reason, attempts, last_error from parked_events where consumer = ${one.name} order by appended_at`;
  return rows.map((row) => ({
    status: String(row["status"]),
    reason: String(row["reason"]),
    attempts: Number(row["attempts"]),
    lastError: row["last_error"] as string | null,
  }));
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const WAIT = { timeout: 20_000, interval: 50 };

describe("a consumer", () => {
  it("gets each event once and in order, although two processes consume, and so does every other consumer", async () => {
    const [one, two] = [consumer(), consumer()];
    const lanes = [newId("project"), newId("project"), newId("project")];
    run(one, two);
    run(one, two);
    await Promise.all(lanes.map((lane) => rename(lane, upTo(30))));
    for (const lane of lanes) {
      await expect.poll(() => effects(one, lane), WAIT).toEqual(upTo(30));
      await expect.poll(() => effects(two, lane), WAIT).toEqual(upTo(30));
    }
  });

  it("goes on under the request and the trace of whoever caused the event", async () => {
    const one = consumer();
    const lane = newId("project");
    run(one);
    const ctx = {
      ...contextFor("test"),
      requestId: "req_cause",
      traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
    };
    await rename(lane, [1], ctx);
    await expect.poll(() => effects(one, lane), WAIT).toEqual([1]);
    const [row] =
      await database.sql`select request_id, traceparent from effects where consumer = ${one.name} and lane = ${lane}`;
    expect(row).toEqual({ request_id: "req_cause", traceparent: ctx.traceparent });
  });

  it("that fails leaves no effect, tries again, keeps the lane in order and holds up no other lane or consumer", async () => {
    const [sick, well] = [newId("project"), newId("project")];
    let failures = 2;
    const one = consumer(({ data }) => {
      if (data.projectId !== sick || data.name !== "1" || failures === 0) return;
      failures -= 1;
      throw new Error("not now");
    });
    const other = consumer();
    run(one, other);
    await rename(sick, upTo(5));
    await rename(well, upTo(5));
    await expect.poll(() => effects(one, well), WAIT).toEqual(upTo(5));
    await expect.poll(() => effects(other, sick), WAIT).toEqual(upTo(5));
    await expect.poll(() => effects(one, sick), WAIT).toEqual(upTo(5));
    expect(failures).toBe(0);
    expect(await parked(one)).toEqual([]);
  });

  it("that goes on failing makes a dead letter, with the reason, and the lane goes on", async () => {
    const lane = newId("project");
    const one = consumer(({ data }) => {
      if (data.projectId === lane && data.name === "1") throw new Error("never");
    });
    run(one);
    await rename(lane, upTo(4));
    await expect.poll(() => effects(one, lane), WAIT).toEqual([0, 2, 3]);
    expect(await parked(one)).toEqual([{ status: "dead", reason: "failed", attempts: 3, lastError: "never" }]);
  });

  it("makes dead letters of events in a version and of a form that it does not know", async () => {
    const one = consumer();
    run(one);
    const lane = newId("project");
    const insert = (version: number, payload: Record<string, unknown>) => database.sql`
      insert into outbox (id, kind, name, version, payload, actor, request_id, created_at, ordinal)
      values (${newId("event")}, 'event', 'projects.renamed', ${version}, ${database.sql.json(payload as never)}, 'system:test', 'req_1', now(), 0)`;
    await insert(2, { projectId: lane, name: "1" });
    await insert(1, { projectId: lane });
    await rename(lane, [3]);
    await expect.poll(() => effects(one, lane), WAIT).toEqual([3]);
    expect((await parked(one)).map(({ status, reason }) => `${status} ${reason}`)).toEqual([
      "dead unknown_version",
      "dead malformed",
    ]);
  });

  it("takes nothing of subjects that it does not consume", async () => {
    const one = consumer();
    run(one);
    const lane = newId("project");
    await withTransaction(contextFor("test"), async (ctx) => {
      await appendEvent(ctx, projectsDeleted, { projectId: lane, billingAccountId: newId("billingAccount") });
    });
    await rename(lane, [1]);
    await expect.poll(() => effects(one, lane), WAIT).toEqual([1]);
    const rows = await database.sql`
      select o.name from inbox as i join outbox as o on o.id = i.event_id
      where i.consumer = ${one.name} and o.payload ->> 'projectId' = ${lane}`;
    expect(rows.map(({ name }) => name)).toEqual(["projects.renamed"]);
  });

  it("gets what a lost stream had not delivered, and nothing twice", async () => {
    const one = consumer();
    const lane = newId("project");
    run(one);
    await rename(lane, upTo(5));
    await expect.poll(() => effects(one, lane), WAIT).toEqual(upTo(5));
    for (const close of closers) await close();
    closers = [];
    await rename(lane, [5, 6, 7]);
    await expect
      .poll(async () => (await database.sql`select 1 from outbox where sent_at is null`).length, WAIT)
      .toBe(0);
    const { connection } = bus;
    if (connection === undefined) throw new Error("no connection to NATS");
    await (await jetstreamManager(connection)).streams.delete(EVENT_STREAM);
    await rename(lane, [8]);
    run(one);
    await expect.poll(() => effects(one, lane), { timeout: 40_000, interval: 100 }).toEqual(upTo(9));
  }, 60_000);
});
