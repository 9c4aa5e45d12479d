import { rmSync } from "node:fs";
import { foldCalls } from "@tollgate/contracts";
import type { Clock, Logger } from "@tollgate/kernel";
import { fillCallBatch } from "@tollgate/services/metering";
import type { ShipperPorts, ShippingPace } from "./shipperPorts.ts";
import { SPOOL_PARTITIONS } from "./spool.ts";
import { SpoolReader } from "./spoolReader.ts";

/**
 * Takes a run's calls from its spool to the metering queue and keeps at it until they are folded.
 *
 * A run has one stream of numbered calls per partition (`<run>/<partition>` is the source), and of each stream one batch
 * is under way at a time. A batch that is not acknowledged is looked up in the database and, if it is not folded, sent
 * again: the queue may lose anything. A segment is deleted when every call in it is folded.
 *
 * The same code ships the living run and replays the runs that a crash left behind.
 */
export interface ShipperOptions {
  readonly directory: string;
  readonly runId: string;
  readonly ports: ShipperPorts;
  readonly pace: ShippingPace;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The number of the segment that is being written, or undefined for a run that has ended. */
  readonly openSegment: () => number | undefined;
}

interface Batch {
  readonly sequence: number;
  readonly last: number;
  readonly records: string;
  firstSentAtMs: number;
  sentAtMs: number;
  /** How often the queue has taken it. */
  queued: number;
  isSending: boolean;
}

interface Partition {
  readonly source: string;
  /** Records that wait to be sent, with their numbers in front. The numbers have no gaps. */
  records: string[];
  head: number;
  /** The number of the last record that was read, and of the last that is folded. */
  read: number;
  folded: number;
  batch: Batch | undefined;
}

const QUEUED_RECORDS_MAX = 30_000;
const RECORDS_DROPPED_AT_ONCE = 10_000;
/** Calls of the gateway wait while a batch is made, and longer for a large one than its calls are worth. */
const SMOOTH_BATCH_CALLS = 400;
const LOOK_UP_AFTER_MS = 1_000;
const RESEND_AFTER_MS = 3_000;
const RESEND_AFTER_MS_MAX = 12_000;
/** A queue that has lost half of a job refuses the job for ever: after this long it gets another one. */
const ROUND_MS = 600_000;
const TICK_MS = 250;

export class SpoolShipper {
  readonly #options: ShipperOptions;
  readonly #partitions: Partition[];
  readonly #reader: SpoolReader;
  readonly #timer: NodeJS.Timeout;
  #queuedRecords = 0;
  #gathering: NodeJS.Timeout | undefined;
  #readingOn: NodeJS.Immediate | undefined;
  #isLookingUp = false;
  #isStarted = false;
  #isBroken = false;
  #hasUnread = true;
  #onEmpty: (() => void)[] = [];

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#partitions = Array.from({ length: SPOOL_PARTITIONS }, (_, index) => ({
      source: `${options.runId}/${index}`,
      records: [],
      head: 0,
      read: 0,
      folded: 0,
      batch: undefined,
    }));
    const { directory, logger, openSegment } = options;
    this.#reader = new SpoolReader({ directory, logger, openSegment, take: (...call) => this.#take(...call) });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** How many calls are known to be folded. */
  get folded(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.folded, 0);
  }

  /** Calls that were read from the file and are not known to be folded. */
  get unfolded(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.read - partition.folded, 0);
  }

  /** For a run that has ended: learns what is folded already, so that only the rest is sent. */
  async skipFolded(): Promise<void> {
    const marks = await this.#options.ports.readFolded(this.#partitions.map((partition) => partition.source));
    for (const partition of this.#partitions) {
      partition.folded = marks.get(partition.source) ?? 0;
      partition.read = partition.folded;
    }
    this.#isStarted = true;
    this.#pump();
  }

  /** Something was written. */
  notify(): void {
    this.#isStarted = true;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#pump();
    }, this.#options.pace.gatherMs);
  }

  /** A source is folded through a number: from a push, or from the database. */
  onFolded(source: string, through: number): void {
    const partition = this.#partitions.find((candidate) => candidate.source === source);
    const batch = partition?.batch;
    if (partition === undefined || batch === undefined || through < batch.last) return;
    partition.batch = undefined;
    partition.folded = batch.last;
    this.#dropFolded();
    // What came meanwhile has not gathered for long when the fold was quick; without a batch under way nothing else wakes it.
    if (this.#isDue(partition, batch)) this.#pump();
    else this.notify();
  }

  /** Whether the next batch of a partition may follow one that is folded. */
  #isDue(partition: Partition, folded: Batch): boolean {
    const { gatherMs } = this.#options.pace;
    const isFull = partition.records.length - partition.head >= this.#smoothCalls;
    return isFull || this.#options.clock.nowMs() - folded.sentAtMs >= gatherMs || this.#onEmpty.length > 0;
  }

  /** Resolves when every call of the run is folded; for a run that has ended, and for draining. */
  async waitUntilEmpty(): Promise<void> {
    this.#isStarted = true;
    this.#pump();
    if (this.#isEmpty()) return;
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Stops sending. What is not folded stays on file for the next start. */
  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#gathering);
    clearImmediate(this.#readingOn);
    this.#reader.close();
  }

  /** Deletes the run's directory; only when it is empty of calls. */
  removeDirectory(): void {
    this.close();
    rmSync(this.#options.directory, { recursive: true, force: true });
  }

  #isEmpty(): boolean {
    // What cannot be read is not folded: whoever waits would delete it.
    if (this.#isBroken) return false;
    return this.#isStarted && !this.#hasUnread && this.unfolded === 0;
  }

  get #smoothCalls(): number {
    return Math.min(SMOOTH_BATCH_CALLS, this.#options.pace.batchCallsMax);
  }

  #pump(): void {
    if (!this.#isStarted || this.#isBroken) return;
    try {
      this.#read();
    } catch (error) {
      // Nothing is dropped that cannot be read: the files stay for a person to look at.
      this.#isBroken = true;
      this.#options.logger.error({ err: error, directory: this.#options.directory }, "the spool cannot be read");
      return;
    }
    for (const partition of this.#partitions) {
      if (partition.batch === undefined && partition.head < partition.records.length) this.#sendNext(partition);
    }
    this.#dropFolded();
    if (this.#onEmpty.length > 0 && this.#isEmpty()) {
      for (const resolve of this.#onEmpty.splice(0)) resolve();
    }
  }

  /** Reads on, unless enough records are waiting; a piece at a time, so that calls come between. */
  #read(): void {
    this.#hasUnread = this.#queuedRecords >= QUEUED_RECORDS_MAX || this.#reader.readPiece();
    if (!this.#hasUnread || this.#queuedRecords >= QUEUED_RECORDS_MAX) return;
    this.#readingOn ??= setImmediate(() => {
      this.#readingOn = undefined;
      this.#pump();
    });
  }

  /** A call from the file; what is folded already is passed over. @returns whether it can be the next one of its partition */
  #take(number: number, sequence: number, record: string): boolean {
    const partition = this.#partitions[number];
    if (partition === undefined || !(sequence <= partition.read + 1)) return false;
    if (sequence <= partition.read) return true;
    partition.read = sequence;
    partition.records.push(record);
    this.#queuedRecords += 1;
    return true;
  }

  #sendNext(partition: Partition): void {
    const waiting = partition.records.length - partition.head;
    const { batchCallsMax } = this.#options.pace;
    // A backlog goes in the largest pieces, which are the cheapest to fold.
    const callsMax = waiting > batchCallsMax ? batchCallsMax : Math.min(waiting, this.#smoothCalls);
    const sequence = partition.read - waiting + 1;
    const next = partition.records.slice(partition.head, partition.head + callsMax);
    const { text: records, calls } = fillCallBatch(next);
    partition.head += calls;
    this.#queuedRecords -= calls;
    if (calls === waiting) {
      partition.records = [];
      partition.head = 0;
    } else if (partition.head >= RECORDS_DROPPED_AT_ONCE) {
      partition.records.splice(0, partition.head);
      partition.head = 0;
    }
    const last = sequence + calls - 1;
    partition.batch = { sequence, last, records, firstSentAtMs: 0, sentAtMs: 0, queued: 0, isSending: false };
    void this.#send(partition.source, partition.batch);
  }

  async #send(source: string, batch: Batch): Promise<void> {
    if (batch.isSending) return;
    batch.isSending = true;
    batch.sentAtMs = this.#options.clock.nowMs();
    if (batch.queued === 0) batch.firstSentAtMs = batch.sentAtMs;
    const round = Math.floor((batch.sentAtMs - batch.firstSentAtMs) / ROUND_MS);
    try {
      await this.#options.ports.send({ source, sequence: batch.sequence, records: batch.records }, round);
      batch.queued += 1;
    } catch (error) {
      this.#options.logger.warn({ err: error, source, job: foldCalls.name }, "batch not queued; it will be sent again");
    } finally {
      batch.isSending = false;
    }
  }

  /** Batches without an acknowledgement: the push may be lost, or the queue, or the worker. */
  #tick(): void {
    if (this.#queuedRecords === 0 && this.#isStarted) this.#pump();
    const nowMs = this.#options.clock.nowMs();
    const overdue = this.#partitions.filter(
      (partition) => partition.batch !== undefined && nowMs - partition.batch.sentAtMs >= LOOK_UP_AFTER_MS,
    );
    if (overdue.length > 0 && !this.#isLookingUp) void this.#lookUp(overdue);
  }

  async #lookUp(overdue: readonly Partition[]): Promise<void> {
    this.#isLookingUp = true;
    try {
      const marks = await this.#options.ports.readFolded(overdue.map((partition) => partition.source));
      for (const [source, through] of marks) this.onFolded(source, through);
      const nowMs = this.#options.clock.nowMs();
      for (const partition of overdue) {
        const { batch } = partition;
        if (batch !== undefined && nowMs - batch.sentAtMs >= resendAfterMs(batch))
          void this.#send(partition.source, batch);
      }
    } catch (error) {
      this.#options.logger.warn({ err: error }, "cannot look up what is folded; trying again");
    } finally {
      this.#isLookingUp = false;
    }
  }

  #dropFolded(): void {
    this.#reader.drop((number, last) => last <= (this.#partitions[number]?.folded ?? 0));
  }
}

const resendAfterMs = ({ queued }: Batch): number =>
  Math.min(RESEND_AFTER_MS * 2 ** Math.max(0, queued - 1), RESEND_AFTER_MS_MAX);
