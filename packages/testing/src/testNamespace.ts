import { randomBase62 } from "@tollgate/kernel";
import { Redis } from "ioredis";
import { testUrls } from "./testRun.ts";

/** Names that keep one suite apart from the others on the shared servers. */
export interface TestNamespace {
  readonly id: string;
  /** With a database number of its own, so that FLUSHDB harms nobody (FLUSHALL does: start a Redis of your own for that). */
  readonly redisUrl: string;
  /** For BullMQ's `prefix` and for plain keys. */
  readonly redisPrefix: string;
  readonly natsUrl: string;
  /** First token of subjects: letters and digits. */
  readonly subjectPrefix: string;
  /** For streams, consumers and buckets, whose names may not contain dots. */
  readonly streamPrefix: string;
  readonly etcdUrl: string;
  /** Ends in a slash. */
  readonly etcdNamespace: string;
}

/** Database 0 counts; the suites share the rest. */
const REDIS_DATABASES = 255;

export async function createTestNamespace(): Promise<TestNamespace> {
  const { redisUrl, natsUrl, etcdUrl, id: runId } = testUrls();
  const id = `t${runId}${randomBase62(8).toLowerCase()}`;
  return {
    id,
    redisUrl: await takeRedisDatabase(redisUrl),
    redisPrefix: id,
    natsUrl,
    subjectPrefix: id,
    streamPrefix: `${id}-`,
    etcdUrl,
    etcdNamespace: `${id}/`,
  };
}

async function takeRedisDatabase(redisUrl: string): Promise<string> {
  const redis = new Redis(redisUrl);
  try {
    const taken = await redis.incr("tollgate-test:databases");
    const url = new URL(redisUrl);
    url.pathname = `/${((taken - 1) % REDIS_DATABASES) + 1}`;
    return url.toString();
  } finally {
    await redis.quit();
  }
}
