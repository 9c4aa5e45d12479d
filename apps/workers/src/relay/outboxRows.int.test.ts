import { EVENT_SUBJECT_PREFIX } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import type { StreamState } from "@tollgate/messaging";
import {
  EVENT_STREAM,
  ensureEventStream,
  jetstreamManager,
  PushBus,
  publishEvents,
  readEventStream,
} from "@tollgate/messaging";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, createTestNamespace } from "@tollgate/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { StreamTail } from "./outboxRows.ts";
import { mendStream, readUnsent, stampPublished } from "./outboxRows.ts";

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "outbox rows test", connectionsMax: 3 });
});

afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

beforeEach(async () => {
  await database.sql`delete from relay_terms`;
  await database.sql`delete from outbox`;
  for (const id of EVENTS) {
    await database.sql`
      insert into outbox (id, kind, name, version, payload, actor, request_id, created_at, ordinal)
      values (${id}, 'event', 'lab.seen', 1, '{}', 'system:lab', 'req_1', ${systemClock.now()}, 0)`;
  }
});

const EVENTS = ["evt_1", "evt_2", "evt_3"] as const;

const unsent = async (): Promise<string[]> => (await readUnsent(database, "event", 10)).map(({ id }) => id);

const stateOf = (created: string, lastSequence: bigint): StreamState => ({
  created,
  lastSequence,
  lastAt: lastSequence === 0n ? undefined : systemClock.now(),
});

/** Mends a stream that is found in one state and is in another when it has been made. */
const mend = (found: StreamState | undefined, made = found ?? stateOf("first", 0n)) =>
  mendStream(database, systemClock, { read: async () => found, ensure: async () => made });

const note = (id: string, from: StreamTail | undefined, lastSequence: bigint): Promise<boolean> => {
  if (from === undefined) throw new Error("nobody knows where the stream ends");
  return stampPublished(database, systemClock, [id], from, lastSequence);
};

describe("what is known of the end of the stream", () => {
  it("moves on with what is sent behind it", async () => {
    const first = await mend(undefined);
    expect(await note("evt_1", first?.tail, 1n)).toBe(true);
    expect(await unsent()).toEqual(["evt_2", "evt_3"]);
    expect(await mend(stateOf("first", 1n))).toEqual({ tail: { created: "first", lastSequence: 1n }, requeued: 0 });
  });

  it("moves on to what was sent and not noted, and that is sent again", async () => {
    await mend(undefined);
    expect(await mend(stateOf("first", 2n))).toEqual({ tail: { created: "first", lastSequence: 2n }, requeued: 0 });
    expect(await unsent()).toEqual([...EVENTS]);
  });

  it.each([
    ["is gone", undefined, stateOf("second", 0n)],
    ["is another", stateOf("second", 7n), undefined],
    ["has lost its end", stateOf("first", 1n), undefined],
  ] as const)("has everything sent again, in order, that a stream may lack which %s", async (_, found, made) => {
    const first = await mend(undefined);
    await note("evt_1", first?.tail, 2n);
    expect(await mend(found, made)).toEqual({
      tail: { created: (made ?? found)?.created, lastSequence: (made ?? found)?.lastSequence },
      requeued: 1,
    });
    expect(await unsent()).toEqual([...EVENTS]);
  });

  it("does not let one who was held up note as sent what went into a stream that is gone", async () => {
    const first = await mend(undefined);
    await note("evt_1", first?.tail, 1n);
    await mend(undefined, stateOf("second", 0n));
    expect(await note("evt_2", { created: "first", lastSequence: 1n }, 2n)).toBe(false);
    expect(await unsent()).toEqual([...EVENTS]);
  });

  it("does not let one who was held up note as sent what the stream has lost, though it has as many messages again", async () => {
    const first = await mend(undefined);
    await note("evt_1", first?.tail, 1n);
    const mended = await mend(stateOf("first", 0n));
    expect(await note("evt_2", { created: "first", lastSequence: 1n }, 2n)).toBe(false);
    expect(await note("evt_1", mended?.tail, 1n)).toBe(true);
    expect(await unsent()).toEqual(["evt_2", "evt_3"]);
  });

  it("is looked for again by whoever comes while another puts back what was lost", async () => {
    const first = await mend(undefined);
    await note("evt_1", first?.tail, 1n);
    let other: unknown;
    const ensure = async (): Promise<StreamState> => {
      other = await mend(stateOf("second", 0n));
      return stateOf("second", 0n);
    };
    const mine = await mendStream(database, systemClock, { read: async () => undefined, ensure });
    expect([mine, other]).toEqual([undefined, { tail: { created: "second", lastSequence: 0n }, requeued: 0 }]);
    expect(await unsent()).toEqual([...EVENTS]);
  });

  it("is torn when the process dies that puts back what was lost, and the next one puts back all", async () => {
    const first = await mend(undefined);
    await note("evt_1", first?.tail, 1n);
    const dying = mendStream(database, systemClock, {
      read: async () => undefined,
      ensure: () => Promise.reject(new Error("killed")),
    });
    await expect(dying).rejects.toThrow("killed");
    // Another has sent this one meanwhile, so it stands for what was put back only in part.
    await database.sql`update outbox set sent_at = ${systemClock.now()} where id = 'evt_1'`;
    expect(await mend(stateOf("second", 0n))).toMatchObject({ requeued: 1 });
    expect(await unsent()).toEqual([...EVENTS]);
  });
});

describe("the stream", () => {
  it("takes nothing behind an end that it does not have, so nothing goes before what was lost", async () => {
    const { natsUrl } = await createTestNamespace();
    const bus = new PushBus({ url: natsUrl, name: "outbox rows test", logger: silentLogger });
    await new Promise<void>((resolve) => bus.onConnected(resolve));
    const { connection } = bus;
    if (connection === undefined) throw new Error("no connection to NATS");
    await ensureEventStream(connection);
    const subject = `lab.${newId("event").toLowerCase()}`;
    const events = [1, 2].map((n) => ({
      ...{ id: newId("event"), subject, version: 1, time: "2026-01-15T12:00:00Z", actor: "system:lab" },
      ...{ requestId: "req_1", data: { n } },
    }));
    const state = await readEventStream(connection);
    const held = await publishEvents(connection, (state?.lastSequence ?? 0n) + 1_000_000n, events);
    expect(held).toMatchObject({ ids: [], isOutOfTurn: true });
    // Other suites send to the same stream: until nobody comes between.
    await expect
      .poll(async () => {
        const now = await readEventStream(connection);
        return (await publishEvents(connection, now?.lastSequence ?? 0n, events)).ids.length;
      })
      .toBe(2);
    const manager = await jetstreamManager(connection);
    const info = await manager.streams.info(EVENT_STREAM, { subjects_filter: `${EVENT_SUBJECT_PREFIX}${subject}.>` });
    expect(Object.values(info.state.subjects ?? {})).toEqual([2]);
    await bus.close();
  });
});
