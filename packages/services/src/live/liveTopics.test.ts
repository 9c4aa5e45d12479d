import { silentLogger } from "@tollgate/kernel";
import { expect, onTestFinished, test } from "vitest";
import type { LiveTopic, NewsSource } from "./liveTopics.ts";
import { LiveTopics } from "./liveTopics.ts";

/** A bus that tests speak over. */
function newsSource(isConnected = true) {
  const handlers = new Map<string, (data: unknown) => void>();
  const source: NewsSource = {
    isConnected,
    subscribe: (subject, handle) => void handlers.set(subject, handle),
    onConnected: () => undefined,
  };
  const tell = () => handlers.get("tollgate.push.usage")?.({ projectIds: ["prj_1"], billingAccountIds: [] });
  return { source, tell };
}

function counterTopic(everyMs?: number) {
  const seen = { reads: 0, value: 0 };
  const topic: LiveTopic<number> = {
    key: "counter",
    isTouchedBy: ({ subject }) => subject === "usage",
    read: async () => {
      seen.reads += 1;
      return seen.value;
    },
    ...(everyMs === undefined ? {} : { everyMs }),
  };
  return { topic, seen };
}

const QUICK = { gapMs: 5, pollMs: 600_000, pollBlindMs: 20 };

function watching(topics: LiveTopics, topic: LiveTopic<number>) {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const states = topics.watch(topic, leaving.signal);
  const next = async () => (await states.next()).value?.state;
  return { next, leave: () => leaving.abort(), states };
}

test("all watchers of a topic share one reading of it, and it ends with the last of them", async () => {
  const { source } = newsSource();
  const topics = new LiveTopics({ news: source, logger: silentLogger, paces: QUICK });
  const { topic, seen } = counterTopic();
  const watchers = Array.from({ length: 50 }, () => watching(topics, topic));
  expect(new Set(await Promise.all(watchers.map(({ next }) => next())))).toEqual(new Set([0]));
  expect(seen.reads).toBe(1);
  const last = watchers.map(({ next }) => next());
  for (const { leave } of watchers) leave();
  expect(new Set(await Promise.all(last))).toEqual(new Set([undefined]));
  expect(topics.size).toBe(0);
});

test("news has a topic read again, and what is the same is not sent again", async () => {
  const { source, tell } = newsSource();
  const topics = new LiveTopics({ news: source, logger: silentLogger, paces: QUICK });
  const { topic, seen } = counterTopic();
  const { next } = watching(topics, topic);
  expect(await next()).toBe(0);
  const changed = next();
  tell();
  await expect.poll(() => seen.reads).toBe(2);
  seen.value = 7;
  tell();
  expect(await changed).toBe(7);
});

test("a slow watcher is handed the newest state, and none of those it missed", async () => {
  const { source, tell } = newsSource();
  const topics = new LiveTopics({ news: source, logger: silentLogger, paces: QUICK });
  const { topic, seen } = counterTopic();
  const slow = watching(topics, topic);
  const quick = watching(topics, topic);
  await Promise.all([slow.next(), quick.next()]);
  for (let value = 1; value <= 5; value += 1) {
    const changed = quick.next();
    seen.value = value;
    tell();
    expect(await changed).toBe(value);
  }
  expect(await slow.next()).toBe(5);
});

test("without pushes a topic is looked at by itself", async () => {
  const { source } = newsSource(false);
  const topics = new LiveTopics({ news: source, logger: silentLogger, paces: QUICK });
  const { topic, seen } = counterTopic();
  const { next } = watching(topics, topic);
  expect(await next()).toBe(0);
  seen.value = 1;
  expect(await next()).toBe(1);
});

test("much news is one reading", async () => {
  const { source, tell } = newsSource();
  const topics = new LiveTopics({ news: source, logger: silentLogger, paces: { ...QUICK, gapMs: 60 } });
  const { topic, seen } = counterTopic();
  const { next } = watching(topics, topic);
  await next();
  for (let i = 0; i < 1_000; i += 1) tell();
  seen.value = 1;
  expect(await next()).toBe(1);
  expect(seen.reads).toBe(2);
});

test("a topic that cannot be read fails those who wait for its first state, and keeps its last state for the others", async () => {
  const { source, tell } = newsSource();
  const topics = new LiveTopics({ news: source, logger: silentLogger, paces: QUICK });
  const { topic, seen } = counterTopic();
  let isBroken = true;
  const fragile: LiveTopic<number> = {
    ...topic,
    read: async () => {
      if (isBroken) throw new Error("broken");
      return topic.read();
    },
  };
  await expect(watching(topics, fragile).next()).rejects.toThrow("broken");
  isBroken = false;
  const { next } = watching(topics, fragile);
  expect(await next()).toBe(0);
  isBroken = true;
  const changed = next();
  tell();
  isBroken = false;
  seen.value = 3;
  tell();
  expect(await changed).toBe(3);
});
