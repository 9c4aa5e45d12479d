import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@tollgate/kernel";
import { fillCallBatch, RECORD_SEPARATOR } from "@tollgate/services/metering";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ShipperPorts } from "./shipperPorts.ts";
import { segmentName } from "./spool.ts";
import { SpoolShipper } from "./spoolShipper.ts";

/** The shipper on real files and on time that is not real; the queue and the database are in memory. */
const RUN = "gw_1";
const clock = { now: () => new Date(), nowMs: () => Date.now() };

let directory: string;
let sent: { source: string; sequence: number; records: string; round: number }[];
let marks: Map<string, number>;
let isQueueUp: boolean;
let openSegment: number | undefined;
let shippers: SpoolShipper[];

beforeEach(() => {
  vi.useFakeTimers({
    now: Date.parse("2026-03-10T12:00:00Z"),
    toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval", "Date"],
  });
  directory = mkdtempSync(join(tmpdir(), "tollgate-shipper-"));
  sent = [];
  marks = new Map();
  isQueueUp = true;
  openSegment = 1;
  shippers = [];
});

afterEach(() => {
  for (const shipper of shippers) shipper.close();
  vi.useRealTimers();
  rmSync(directory, { recursive: true, force: true });
});

const ports: ShipperPorts = {
  send: async (batch, round) => {
    if (!isQueueUp) throw new Error("no queue");
    sent.push({ ...batch, round });
  },
  readFolded: async (sources) => new Map(sources.map((source) => [source, marks.get(source) ?? 0])),
};

function openShipper(): SpoolShipper {
  const shipper = new SpoolShipper({
    directory,
    runId: RUN,
    ports,
    pace: { batchCallsMax: 2_000, gatherMs: 10 },
    clock,
    logger: silentLogger,
    openSegment: () => openSegment,
  });
  shippers.push(shipper);
  return shipper;
}

const record = (sequence: number): string =>
  `${sequence} call_${sequence} gw_1.1 ba_1|charged 200 wallet:ba_1=${sequence}`;
const batchOf = (...sequences: number[]): string => fillCallBatch(sequences.map(record)).text;
const line = (partition: number, sequence: number): string => `${partition} ${record(sequence)}\n`;
const lines = (partition: number, from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => line(partition, from + index)).join("");
const write = (segment: number, text: string): void => appendFileSync(join(directory, segmentName(segment)), text);
const files = (): string[] => readdirSync(directory).sort();
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("shipping a living run", () => {
  it("sends each partition's calls in order, one batch of it at a time", async () => {
    const shipper = openShipper();
    write(1, line(0, 1) + line(2, 1) + line(0, 2));
    shipper.notify();
    await pass(20);
    expect(sent).toEqual([
      { source: `${RUN}/0`, sequence: 1, records: batchOf(1, 2), round: 0 },
      { source: `${RUN}/2`, sequence: 1, records: batchOf(1), round: 0 },
    ]);
    write(1, line(0, 3));
    shipper.notify();
    await pass(20);
    expect(sent).toHaveLength(2);
    shipper.onFolded(`${RUN}/0`, 2);
    expect(sent[2]).toMatchObject({ source: `${RUN}/0`, sequence: 3 });
    expect(shipper.unfolded).toBe(2);
  });

  it("lets calls gather after a fold as well, unless they make a full batch", async () => {
    const shipper = openShipper();
    write(1, line(0, 1));
    shipper.notify();
    await pass(10);
    write(1, lines(0, 2, 3));
    await pass(2);
    shipper.onFolded(`${RUN}/0`, 1);
    expect(sent).toHaveLength(1);
    await pass(10);
    expect(sent[1]).toMatchObject({ sequence: 2, records: batchOf(2, 3) });
    write(1, lines(0, 4, 2_003) + line(1, 1));
    shipper.notify();
    await pass(10);
    shipper.onFolded(`${RUN}/0`, 3);
    expect(sent.slice(2).map(({ source, sequence }) => [source, sequence])).toEqual([
      [`${RUN}/1`, 1],
      [`${RUN}/0`, 4],
    ]);
  });

  it("sends no more at once than makes a job of less than 128 KiB, however long the calls' records are", async () => {
    const long = (sequence: number): string => `${record(sequence)},${"c".repeat(1_000)}=${sequence}`;
    const shipper = openShipper();
    write(1, Array.from({ length: 3_000 }, (_, index) => `0 ${long(index + 1)}\n`).join(""));
    shipper.notify();
    let next = 1;
    for (let turn = 0; turn < 200 && next <= 3_000; turn += 1) {
      await pass(20);
      const batch = sent.at(-1);
      expect(batch?.sequence).toBe(next);
      expect(batch?.records.length).toBeLessThan(128 * 1_024);
      next += batch?.records.split(RECORD_SEPARATOR).length ?? 0;
      shipper.onFolded(`${RUN}/0`, next - 1);
    }
    expect(next).toBe(3_001);
  });

  it("sends a batch again when it hears nothing, until the database says that it is folded", async () => {
    const shipper = openShipper();
    write(1, line(0, 1));
    shipper.notify();
    await pass(10_000);
    expect(sent).toHaveLength(3);
    marks.set(`${RUN}/0`, 1);
    await pass(1_000);
    expect(shipper.unfolded).toBe(0);
    const before = sent.length;
    await pass(10_000);
    expect(sent).toHaveLength(before);
  });

  it("leaves one job of a batch in the queue, however long nobody folds it, and another every ten minutes", async () => {
    const shipper = openShipper();
    write(1, line(0, 1));
    shipper.notify();
    await pass(3_600_000);
    expect([...new Set(sent.map(({ round }) => round))]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(sent.length).toBeLessThan(3_600_000 / 12_000 + 10);
  });

  it("sends what the queue would not take when it takes it again", async () => {
    isQueueUp = false;
    const shipper = openShipper();
    write(1, line(0, 1));
    shipper.notify();
    await pass(5_000);
    expect(sent).toEqual([]);
    isQueueUp = true;
    await pass(4_000);
    expect(sent.length).toBeGreaterThan(0);
  });

  it("does not take a part of a batch, or another source, for the whole of it", async () => {
    const shipper = openShipper();
    write(1, lines(0, 1, 10));
    shipper.notify();
    await pass(20);
    shipper.onFolded(`${RUN}/0`, 9);
    shipper.onFolded(`${RUN}/1`, 10);
    shipper.onFolded("gw_2/0", 10);
    expect(shipper.unfolded).toBe(10);
    shipper.onFolded(`${RUN}/0`, 10);
    expect(shipper.unfolded).toBe(0);
  });

  it("waits for the rest of a line that is half written", async () => {
    const shipper = openShipper();
    const second = line(0, 2);
    write(1, line(0, 1) + second.slice(0, 7));
    shipper.notify();
    await pass(20);
    shipper.onFolded(`${RUN}/0`, 1);
    write(1, second.slice(7));
    shipper.notify();
    await pass(20);
    expect(sent[1]).toMatchObject({ sequence: 2, records: batchOf(2) });
  });

  it("drops a segment when every call in it is folded, in order, and never the one that is written to", async () => {
    const shipper = openShipper();
    write(1, line(0, 1) + line(1, 1));
    write(2, line(1, 2));
    write(3, line(0, 2));
    openSegment = 3;
    shipper.notify();
    await pass(20);
    shipper.onFolded(`${RUN}/0`, 1);
    shipper.onFolded(`${RUN}/0`, 2);
    expect(files()).toEqual([segmentName(1), segmentName(2), segmentName(3)]);
    shipper.onFolded(`${RUN}/1`, 2);
    expect(files()).toEqual([segmentName(3)]);
    openSegment = undefined;
    await shipper.waitUntilEmpty();
    expect(files()).toEqual([]);
  });

  it("holds a bounded part of a backlog in memory, and gets through all of it", async () => {
    const total = 100_000;
    write(1, lines(4, 1, total));
    const heldMax = vi.fn();
    const shipper = openShipper();
    shipper.notify();
    await pass(20);
    let folded = 0;
    while (folded < total) {
      const batch = sent.at(-1);
      const calls = batch?.records.split(RECORD_SEPARATOR).length ?? 0;
      expect(batch?.sequence).toBe(folded + 1);
      expect(calls).toBeGreaterThan(0);
      folded += calls;
      heldMax(shipper.unfolded);
      shipper.onFolded(`${RUN}/4`, folded);
      // What is not read yet is read a moment later.
      for (let turn = 0; turn < 100 && sent.at(-1) === batch; turn += 1) await pass(10);
    }
    const held = heldMax.mock.calls.map(([calls]) => Number(calls));
    // The lines that may wait, what one more read adds to them, and the batch under way.
    expect(Math.max(...held)).toBeLessThan(30_000 + 80_000);
    expect(shipper.unfolded).toBe(0);
  });
});

describe("replaying a run that ended", () => {
  it("sends only what is not folded, and is done when that is", async () => {
    openSegment = undefined;
    write(1, lines(0, 1, 5) + lines(1, 1, 3));
    write(2, lines(0, 6, 8));
    marks.set(`${RUN}/0`, 6);
    marks.set(`${RUN}/1`, 3);
    const shipper = openShipper();
    await shipper.skipFolded();
    expect(sent).toMatchObject([{ source: `${RUN}/0`, sequence: 7, records: batchOf(7, 8) }]);
    const done = vi.fn();
    const waiting = shipper.waitUntilEmpty().then(done);
    await pass(100);
    expect(done).not.toHaveBeenCalled();
    shipper.onFolded(`${RUN}/0`, 8);
    await waiting;
    expect(files()).toEqual([]);
  });

  it("leaves out a line that a crash cut short: that call was never answered", async () => {
    openSegment = undefined;
    write(1, `${line(0, 1)}0 2 call_2 gw_1.1 ba`);
    const shipper = openShipper();
    await shipper.skipFolded();
    expect(sent).toMatchObject([{ sequence: 1, records: batchOf(1) }]);
    shipper.onFolded(`${RUN}/0`, 1);
    await shipper.waitUntilEmpty();
  });

  it("is done at once with a run that has no calls", async () => {
    openSegment = undefined;
    writeFileSync(join(directory, segmentName(1)), "");
    const shipper = openShipper();
    await shipper.skipFolded();
    await shipper.waitUntilEmpty();
    shipper.removeDirectory();
    expect(existsSync(directory)).toBe(false);
  });

  it.each(["99 2 call", "no call at all", "0 x call"])(
    "stops at a line like %j and keeps the file",
    async (corrupt) => {
      openSegment = undefined;
      write(1, `${line(0, 1)}${corrupt}\n${line(0, 2)}`);
      // All that comes before it is folded, so that only the line itself stands in the way.
      marks.set(`${RUN}/0`, 1);
      const shipper = openShipper();
      await shipper.skipFolded();
      const done = vi.fn();
      void shipper.waitUntilEmpty().then(done);
      shipper.onFolded(`${RUN}/0`, 2);
      await pass(10_000);
      expect(sent).toEqual([]);
      expect(done).not.toHaveBeenCalled();
      expect(files()).toEqual([segmentName(1)]);
    },
  );
});
