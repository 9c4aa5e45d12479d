import { connect } from "node:net";
import { SCHEDULES } from "@tollgate/contracts";
import { Queues } from "@tollgate/messaging";
import type { TestNamespace } from "@tollgate/testing";
import { createTestNamespace } from "@tollgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assertSchedules } from "./assertSchedules.ts";

let namespace: TestNamespace;
let queues: Queues;

beforeAll(async () => {
  namespace = await createTestNamespace();
  queues = new Queues({ redisUrl: namespace.redisUrl, prefix: namespace.redisPrefix, onError: () => undefined });
});

afterAll(() => queues.close());

async function scheduled(): Promise<{ name: string; everyMs: number | undefined }[]> {
  const names = [...new Set(SCHEDULES.map(({ job }) => job.queue))];
  const schedulers = await Promise.all(names.map((name) => queues.queue(name).getJobSchedulers()));
  return schedulers
    .flat()
    .map(({ key, every }) => ({ name: key, everyMs: every === undefined ? undefined : Number(every) }));
}

/** FLUSHDB of the suite's own database, in the protocol's inline form. */
async function emptyRedis(): Promise<void> {
  const { hostname, port, pathname } = new URL(namespace.redisUrl);
  const socket = connect(Number(port), hostname);
  socket.end(`SELECT ${pathname.slice(1)}\r\nFLUSHDB\r\nQUIT\r\n`);
  let answers = "";
  for await (const chunk of socket) answers += String(chunk);
  expect(answers).toBe("+OK\r\n+OK\r\n+OK\r\n");
}

const table = SCHEDULES.map(({ job, everyMs }) => ({ name: job.name, everyMs }));
const byName = (left: { name: string }, right: { name: string }): number => (left.name < right.name ? -1 : 1);

describe("the schedules", () => {
  it("are those of the table, however often they are asserted", async () => {
    await assertSchedules(queues);
    await assertSchedules(queues);
    expect((await scheduled()).sort(byName)).toEqual([...table].sort(byName));
  });

  it("are there again after Redis was emptied", async () => {
    await assertSchedules(queues);
    await emptyRedis();
    expect(await scheduled()).toEqual([]);
    await assertSchedules(queues);
    expect((await scheduled()).sort(byName)).toEqual([...table].sort(byName));
  });
});
