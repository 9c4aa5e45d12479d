import { foldCalls } from "@tollgate/contracts";
import { Queues } from "@tollgate/messaging";
import { createTestNamespace } from "@tollgate/testing";
import { expect, it } from "vitest";
import { Line } from "../testing/line.ts";

const batch = (sequence: number) => ({ source: "gw_lost/0", sequence, records: "x".repeat(1_000) });
const WAIT = { timeout: 10_000, interval: 50 };

it("what is ordered while Redis is away is refused and forgotten, and what is ordered again is there once", async () => {
  const { redisUrl, redisPrefix } = await createTestNamespace();
  const line = await Line.lay(redisUrl);
  const queues = new Queues({ redisUrl: line.url, prefix: redisPrefix, onError: () => undefined });
  const counted = new Queues({ redisUrl, prefix: redisPrefix, onError: () => undefined });
  const inQueue = () => counted.queue("metering").count();
  const order = (sequence: number) =>
    queues.enqueue(foldCalls, batch(sequence), { id: `lost-${sequence}`, keep: false });
  await order(1);
  line.cut();
  const refused = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => order(index + 2)));
  // What was on its way as the line was cut may have been taken; the rest is refused.
  expect(refused.filter(({ status }) => status === "rejected")).toHaveLength(50);
  const away = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => order(index + 100)));
  expect(away.filter(({ status }) => status === "rejected")).toHaveLength(50);
  line.mend();
  await expect
    .poll(
      () =>
        order(1)
          .then(() => true)
          .catch(() => false),
      WAIT,
    )
    .toBe(true);
  await order(2);
  await order(2);
  const ids = (await counted.queue("metering").getWaiting()).map(({ id }) => id);
  expect(ids.filter((id) => Number(id?.slice(5)) >= 100)).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
  expect(await inQueue()).toBe(ids.length);
  await Promise.all([queues.close(), counted.close()]);
  line.close();
});
