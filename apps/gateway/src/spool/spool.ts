import { closeSync, fdatasync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "@tollgate/kernel";

/**
 * The spool: every finished call is a line in an append-only file before the last byte of its answer leaves. What is in
 * the file survives the process; a worker folds it, however often it must be sent, and only then is the file dropped.
 *
 * Calls that finish in the same turn of the event loop share one write: at 20,000 calls a second that is one system call
 * for ten or more of them. The write is synchronous because it goes to the page cache in microseconds, and a thread's
 * hand-over costs more than that.
 */
export const SPOOL_PARTITIONS = 16;
const SEGMENT_BYTES_MAX = 32 * 1024 * 1024;

/** Told when its call is on file. */
export interface SpoolWaiter {
  onRecorded(): void;
  /** The call could not be recorded: it must not be answered. */
  onRecordFailed(error: Error): void;
}

export interface SpoolOptions {
  /** The directory of this run; made if it is not there. */
  readonly directory: string;
  readonly logger: Logger;
  /** Whether each write is forced to the disk: survives the loss of power, too. */
  readonly isFsyncOn?: boolean;
  /** Called after every write. */
  readonly onWritten: () => void;
  /** Called once, when the spool cannot be written: the process must drain and be restarted with a new run. */
  readonly onFailed: (error: Error) => void;
}

/** The name of a segment's file: they sort in the order of writing. */
export const segmentName = (number: number): string => `${number.toString().padStart(8, "0")}.spool`;

export class Spool {
  readonly #options: SpoolOptions;
  readonly #sequences = new Array<number>(SPOOL_PARTITIONS).fill(0);
  #segmentNumber = 0;
  #segmentBytes = 0;
  #descriptor: number;
  #pendingText = "";
  #pending: SpoolWaiter[] = [];
  #writing: SpoolWaiter[] = [];
  #isScheduled = false;
  #isSyncing = false;
  #failure: Error | undefined;
  readonly #flush = (): void => this.flush();

  constructor(options: SpoolOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
    this.#descriptor = this.#openSegment();
  }

  /** The segment that is being written; it is not complete. */
  get segmentNumber(): number {
    return this.#segmentNumber;
  }

  /** Why the spool cannot be written at the moment. A gateway that cannot record calls must not admit any. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** How many calls were appended. */
  get appended(): number {
    return this.#sequences.reduce((sum, sequence) => sum + sequence, 0);
  }

  /** Whether everything that was appended is on file, or has failed. */
  get isSettled(): boolean {
    return this.#pending.length === 0 && !this.#isSyncing;
  }

  /**
   * Appends a record to the stream of its partition and numbers it there. The waiter is told at the end of this turn of
   * the event loop.
   */
  append(partition: number, record: string, waiter: SpoolWaiter): void {
    if (this.#failure !== undefined) {
      waiter.onRecordFailed(this.#failure);
      return;
    }
    const sequence = (this.#sequences[partition] ?? 0) + 1;
    this.#sequences[partition] = sequence;
    this.#pendingText += `${partition} ${sequence} ${record}\n`;
    this.#pending.push(waiter);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  /** Writes what is pending. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#isSyncing || this.#pending.length === 0 || this.#failure !== undefined) return;
    const waiters = this.#pending;
    const text = this.#pendingText;
    this.#pending = this.#writing;
    this.#pendingText = "";
    try {
      this.#write(text);
    } catch (error) {
      this.#pending = [];
      this.#fail(error instanceof Error ? error : new Error(String(error)), waiters);
      return;
    }
    if (this.#options.isFsyncOn === true) this.#sync(waiters);
    else this.#tell(waiters);
  }

  close(): void {
    this.flush();
    closeSync(this.#descriptor);
  }

  #write(text: string): void {
    if (this.#segmentBytes >= SEGMENT_BYTES_MAX) {
      closeSync(this.#descriptor);
      this.#descriptor = this.#openSegment();
    }
    // Records are ASCII: a character is a byte, and what a full disk left unwritten can be cut off and written again.
    for (let rest = text; rest !== ""; ) rest = rest.slice(writeSync(this.#descriptor, rest, null, "latin1"));
    this.#segmentBytes += text.length;
  }

  #tell(waiters: SpoolWaiter[]): void {
    for (const waiter of waiters) this.#tellOne(waiter);
    waiters.length = 0;
    this.#writing = waiters;
    this.#options.onWritten();
  }

  /** An answer that cannot be sent must not keep the others of its turn from theirs. */
  #tellOne(waiter: SpoolWaiter): void {
    try {
      waiter.onRecorded();
    } catch (error) {
      this.#options.logger.error({ err: error }, "a recorded call could not be answered");
      waiter.onRecordFailed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** One fdatasync at a time; the calls that finish meanwhile share the next one. */
  #sync(waiters: SpoolWaiter[]): void {
    this.#isSyncing = true;
    fdatasync(this.#descriptor, (error) => {
      this.#isSyncing = false;
      if (error === null) this.#tell(waiters);
      else this.#fail(error, waiters);
      this.flush();
    });
  }

  /**
   * A failed write leaves a gap in the numbering, which would stop these partitions for ever, and maybe half a line. So
   * the run's streams end here: the process must be restarted with a new run, and what is on file is replayed.
   */
  #fail(error: Error, waiters: SpoolWaiter[]): void {
    this.#options.logger.fatal({ err: error }, "the spool cannot be written");
    this.#failure = error;
    const others = this.#pending;
    this.#pending = [];
    this.#pendingText = "";
    for (const waiter of [...waiters, ...others]) waiter.onRecordFailed(error);
    this.#options.onFailed(error);
  }

  #openSegment(): number {
    this.#segmentNumber += 1;
    this.#segmentBytes = 0;
    return openSync(join(this.#options.directory, segmentName(this.#segmentNumber)), "a", 0o600);
  }
}
