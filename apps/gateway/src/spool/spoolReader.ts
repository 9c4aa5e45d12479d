import { closeSync, openSync, readdirSync, readSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "@tollgate/kernel";

export interface SpoolReaderOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** The number of the segment that is being written, or undefined for a run that has ended. */
  readonly openSegment: () => number | undefined;
  /** Takes a call of a partition, its number in front of its record. @returns whether it can be the next one there */
  readonly take: (partition: number, sequence: number, record: string) => boolean;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  readonly descriptor: number;
  offset: number;
  /** The beginning of a line whose end has not been read yet. */
  carry: string;
  /** The last call of each partition that was read from it. */
  readonly last: number[];
  isRead: boolean;
}

/** Calls of the gateway wait while a piece is read, so it holds no more than a few hundred. */
const PIECE_BYTES = 96 * 1024;

/** Reads a run's calls from its segments, in the order of writing, and deletes the segments that are done with. */
export class SpoolReader {
  readonly #options: SpoolReaderOptions;
  readonly #segments: Segment[] = [];
  readonly #buffer = Buffer.allocUnsafe(PIECE_BYTES);
  #lastDropped = 0;

  constructor(options: SpoolReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads on, up to a piece of a few hundred calls.
   * @returns whether there is more on file
   * @throws Error for what cannot be read, RangeError for a line that is not the next call
   */
  readPiece(): boolean {
    this.#findSegments();
    const open = this.#options.openSegment();
    for (const segment of this.#segments) {
      if (segment.isRead) continue;
      for (;;) {
        const bytes = readSync(segment.descriptor, this.#buffer, 0, PIECE_BYTES, segment.offset);
        if (bytes === 0) break;
        segment.offset += bytes;
        this.#takeLines(segment, this.#buffer.toString("latin1", 0, bytes));
        if (bytes === PIECE_BYTES) return true;
      }
      segment.isRead = open === undefined || segment.number < open;
      if (segment.isRead && segment.carry !== "") this.#reportTorn(segment);
    }
    return false;
  }

  /** Deletes the oldest segments, as long as everything that was read from them is done with. */
  drop(isDone: (partition: number, last: number) => boolean): void {
    for (;;) {
      const [segment] = this.#segments;
      if (segment?.isRead !== true || !segment.last.every((last, partition) => isDone(partition, last))) return;
      this.#segments.shift();
      closeSync(segment.descriptor);
      unlinkSync(segment.path);
      this.#lastDropped = segment.number;
    }
  }

  close(): void {
    for (const segment of this.#segments) closeSync(segment.descriptor);
    this.#segments.length = 0;
  }

  #takeLines(segment: Segment, text: string): void {
    const lines = (segment.carry + text).split("\n");
    segment.carry = lines.pop() ?? "";
    for (const line of lines) {
      const first = line.indexOf(" ");
      const second = line.indexOf(" ", first + 1);
      const partition = Number(line.slice(0, first));
      const sequence = Number(line.slice(first + 1, second));
      if (second < 0 || !this.#options.take(partition, sequence, line.slice(first + 1))) {
        throw new RangeError(`${segment.path} holds a line that is not the next call: ${line.slice(0, 80)}`);
      }
      segment.last[partition] = sequence;
    }
  }

  #findSegments(): void {
    const known = this.#segments.at(-1)?.number ?? this.#lastDropped;
    const open = this.#options.openSegment();
    if (open !== undefined && open <= known) return;
    for (const name of readdirSync(this.#options.directory).sort()) {
      const number = Number(/^(\d{8})\.spool$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(number) || number <= known) continue;
      const path = join(this.#options.directory, name);
      const descriptor = openSync(path, "r");
      this.#segments.push({ number, path, descriptor, offset: 0, carry: "", last: [], isRead: false });
    }
  }

  /** The end of a line is missing: the process was killed while it wrote, so this call was never answered. */
  #reportTorn(segment: Segment): void {
    this.#options.logger.warn(
      { segment: segment.path, bytes: segment.carry.length },
      "a call was cut short by a crash",
    );
    segment.carry = "";
  }
}
