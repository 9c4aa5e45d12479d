import { emailsSend } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { appendJob, createDatabase, withTransaction } from "@tollgate/db";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import { createQueueWorker, PushBus, Queues } from "@tollgate/messaging";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, createTestNamespace } from "@tollgate/testing";
import { UnrecoverableError } from "bullmq";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NO_LEADERSHIP, OutboxRelay } from "./outboxRelay.ts";

let testDatabase: TestDatabase;
let database: Database;
let queues: Queues;
let stop: () => Promise<void>;
const handled: string[] = [];
const failing = new Set<string>();

beforeAll(async () => {
  const { redisUrl, redisPrefix, natsUrl } = await createTestNamespace();
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "relay-test" });
  const options = { redisUrl, prefix: redisPrefix, onError: () => undefined };
  queues = new Queues(options);
  const bus = new PushBus({ url: natsUrl, name: "relay-test", logger: silentLogger });
  const relay = new OutboxRelay({
    database,
    bus,
    queues,
    clock: systemClock,
    logger: silentLogger,
    leadership: NO_LEADERSHIP,
  });
  const worker = createQueueWorker(
    "email",
    async (job) => {
      const { emailId } = emailsSend.schema.parse(job.data);
      handled.push(emailId);
      if (failing.has(emailId)) throw new UnrecoverableError("cannot be done");
    },
    { ...options, concurrency: 1 },
  );
  relay.start();
  stop = async () => {
    await worker.close();
    await relay.stop();
    await Promise.all([queues.close(), bus.close()]);
  };
});
afterAll(async () => {
  await stop();
  await database.close();
  await testDatabase.drop();
});

const order = (emailId: string) =>
  withTransaction(
    {
      clock: systemClock,
      logger: silentLogger,
      actor: { kind: "system", task: "test" },
      requestId: newId("request"),
      database,
      db: database.db,
      isInTransaction: false,
    },
    (ctx) => appendJob(ctx, emailsSend, { emailId }),
  );
const timesHandled = (emailId: string) => handled.filter((id) => id === emailId).length;
const isIdle = async () => {
  const { active = 0, waiting = 0, delayed = 0 } = await queues.queue("email").getJobCounts();
  return active + waiting + delayed === 0;
};

test.each([
  ["was done", false],
  ["has failed for good", true],
])("a job under an id of its own that %s is done again when it is ordered again", async (_, isFailing) => {
  const emailId = newId("email");
  if (isFailing) failing.add(emailId);
  for (const times of [1, 2, 3]) {
    await order(emailId);
    await expect.poll(() => timesHandled(emailId), { timeout: 10_000 }).toBe(times);
    await expect.poll(isIdle, { timeout: 10_000 }).toBe(true);
  }
});
