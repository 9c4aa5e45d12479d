import type { AnyJobDefinition, JobData, QueueName } from "@tollgate/contracts";
import type { Job, JobsOptions, WorkerOptions } from "bullmq";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

/** How long a producer waits for Redis before it goes on without: a job is never the only copy of anything. */
const ENQUEUE_TIMEOUT_MS = 2_000;

/** How many ended jobs stay for an operator to look at. */
const KEPT_JOBS = { completed: 200, failed: 2_000 };

export interface QueuesOptions {
  readonly redisUrl: string;
  /** Keeps several deployments, or several test suites, apart in one Redis. */
  readonly prefix?: string;
  readonly onError: (error: Error) => void;
}

/** Where an order comes from; the job goes on under the same request and trace. */
export interface JobOrigin {
  readonly requestId: string;
  readonly traceparent?: string;
}

export interface OrderOptions {
  readonly id?: string;
  readonly delayMs?: number;
  readonly keep?: boolean;
  readonly origin?: JobOrigin;
}

export interface JobOrder {
  readonly definition: AnyJobDefinition;
  readonly data: Record<string, unknown>;
  readonly options: OrderOptions;
}

/** Stands beside a job's own fields, which schemas do not let through. */
const ORIGIN_FIELD = "_origin";

/** Where a job that was taken from a queue came from; undefined for one that the clock ordered. */
export function originOf(job: Pick<Job, "data">): JobOrigin | undefined {
  return (job.data as { [ORIGIN_FIELD]?: JobOrigin } | undefined)?.[ORIGIN_FIELD];
}

function toBullJob(
  { name, attempts, backoffMs }: Pick<AnyJobDefinition, "name" | "attempts" | "backoffMs">,
  data: Record<string, unknown>,
  { id, delayMs, keep = true, origin }: OrderOptions,
): { name: string; data: Record<string, unknown>; opts: JobsOptions } {
  return {
    name,
    data: origin === undefined ? data : { ...data, [ORIGIN_FIELD]: origin },
    opts: {
      attempts,
      backoff: { type: "exponential", delay: backoffMs },
      removeOnComplete: keep ? { count: KEPT_JOBS.completed } : true,
      removeOnFail: keep ? { count: KEPT_JOBS.failed } : true,
      ...(id === undefined ? {} : { jobId: id.replaceAll(":", "-") }),
      ...(delayMs === undefined ? {} : { delay: delayMs }),
    },
  };
}

/** Producers of jobs, one queue object per queue that is used. */
export class Queues {
  readonly #options: QueuesOptions;
  readonly #queues = new Map<QueueName, Queue>();
  #connection: Redis | undefined;
  #connecting: Promise<void> | undefined;

  constructor(options: QueuesOptions) {
    this.#options = options;
  }

  /**
   * Orders a job. @throws Error when Redis does not answer in time: the order may or may not have been taken, and
   * ordering again is right. While Redis is away nothing is kept for it.
   */
  async enqueue<Definition extends AnyJobDefinition>(
    definition: Definition,
    data: JobData<Definition>,
    options: OrderOptions = {},
  ): Promise<void> {
    const job = toBullJob(definition, data, options);
    await this.#connected();
    await withTimeout(this.queue(definition.queue).add(job.name, job.data, job.opts), ENQUEUE_TIMEOUT_MS);
  }

  /**
   * Orders jobs of one queue in one round trip: all of them in their order, or none. @throws Error as {@link enqueue} does
   */
  async enqueueMany(queue: QueueName, orders: readonly JobOrder[]): Promise<void> {
    await this.#connected();
    const jobs = orders.map(({ definition, data, options }) => toBullJob(definition, data, options));
    await withTimeout(this.queue(queue).addBulk(jobs), ENQUEUE_TIMEOUT_MS);
  }

  /** The queue itself; for schedules and for the operators' board. */
  queue(name: QueueName): Queue {
    const existing = this.#queues.get(name);
    if (existing !== undefined) return existing;
    const queue = new Queue(name, { connection: this.#connect(), prefix: this.#options.prefix ?? "tollgate" });
    queue.on("error", this.#options.onError);
    this.#queues.set(name, queue);
    return queue;
  }

  /** @throws Error when Redis does not answer in time */
  async ping(): Promise<void> {
    await withTimeout(this.#connect().ping(), ENQUEUE_TIMEOUT_MS);
  }

  #connect(): Redis {
    this.#connection ??= openRedis(this.#options.redisUrl, this.#options.onError);
    return this.#connection;
  }

  /** The client would keep what it is given until it has a connection, for however long and however much that is. */
  async #connected(): Promise<void> {
    const redis = this.#connect();
    if (redis.status === "ready") return;
    this.#connecting ??= new Promise<void>((resolve) => redis.once("ready", resolve)).finally(() => {
      this.#connecting = undefined;
    });
    await withTimeout(this.#connecting, ENQUEUE_TIMEOUT_MS);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#connection?.disconnect();
  }
}

export type JobHandler = (job: Job) => Promise<void>;

/** A consumer of one queue. Jobs may run twice: a stalled one is given to another worker. */
export function createQueueWorker(
  name: QueueName,
  handle: JobHandler,
  options: QueuesOptions & Pick<WorkerOptions, "concurrency">,
): Worker {
  const worker = new Worker(name, handle, {
    connection: openRedis(options.redisUrl, options.onError),
    prefix: options.prefix ?? "tollgate",
    concurrency: options.concurrency ?? 4,
    lockDuration: 15_000,
    stalledInterval: 5_000,
    maxStalledCount: 5,
    drainDelay: 2,
    runRetryDelay: 500,
  });
  worker.on("error", options.onError);
  return worker;
}

/** BullMQ wants commands that wait for the connection as long as it takes; reconnecting stays quick. */
function openRedis(url: string, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(50 * attempt, 500),
    connectTimeout: 2_000,
  });
  redis.on("error", onError);
  return redis;
}

async function withTimeout<Result>(work: Promise<Result>, timeoutMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis did not answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
