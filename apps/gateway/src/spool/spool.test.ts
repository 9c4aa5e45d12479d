import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@tollgate/kernel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SpoolWaiter } from "./spool.ts";
import { Spool } from "./spool.ts";

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return { ...fs, writeSync: vi.fn(fs.writeSync), fdatasync: vi.fn(fs.fdatasync) };
});
const fs = await import("node:fs");

let directory: string;
let failures: Error[];
let writes: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tollgate-spool-"));
  failures = [];
  writes = 0;
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

const open = (isFsyncOn = false): Spool =>
  new Spool({
    directory,
    logger: silentLogger,
    isFsyncOn,
    onWritten: () => {
      writes += 1;
    },
    onFailed: (error) => failures.push(error),
  });

const textOf = (): string =>
  readdirSync(directory)
    .map((name) => readFileSync(join(directory, name), "latin1"))
    .join("");

/** Appends a record. @returns whether it was recorded, and what was on file at that moment */
function append(spool: Spool, partition: number, record: string): Promise<{ text: string } | { error: Error }> {
  return new Promise((resolve) => {
    spool.append(partition, record, {
      onRecorded: () => resolve({ text: textOf() }),
      onRecordFailed: (error) => resolve({ error }),
    });
  });
}

describe("the spool", () => {
  it("numbers the records of each partition from 1, in the order of their coming", async () => {
    const spool = open();
    await Promise.all([append(spool, 3, "a"), append(spool, 5, "b"), append(spool, 3, "c")]);
    await append(spool, 3, "d");
    expect(textOf()).toBe("3 1 a\n5 1 b\n3 2 c\n3 3 d\n");
    spool.close();
  });

  it("tells a call that it is recorded only when its line is in the file", async () => {
    const spool = open();
    expect(await append(spool, 0, "first")).toEqual({ text: "0 1 first\n" });
    spool.close();
  });

  it("writes the calls of one turn of the event loop together", async () => {
    const spool = open();
    await Promise.all(Array.from({ length: 100 }, (_, index) => append(spool, index % 16, `r${index}`)));
    expect(writes).toBe(1);
    spool.close();
  });

  it("lets no answer that cannot be sent keep the others of its turn from theirs", async () => {
    const spool = open();
    const failed = vi.fn();
    const broken: SpoolWaiter = {
      onRecorded: () => {
        throw new Error("not a reason phrase");
      },
      onRecordFailed: failed,
    };
    spool.append(1, "broken", broken);
    expect(await append(spool, 1, "whole")).toEqual({ text: "1 1 broken\n1 2 whole\n" });
    expect(failed).toHaveBeenCalledOnce();
    spool.close();
  });

  it("tells every call of a write that failed, says so once, and takes no more", async () => {
    const spool = open();
    vi.mocked(fs.writeSync).mockImplementationOnce(() => {
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    });
    const results = await Promise.all([append(spool, 0, "a"), append(spool, 1, "b")]);
    expect(results).toMatchObject([{ error: { code: "ENOSPC" } }, { error: { code: "ENOSPC" } }]);
    expect(await append(spool, 0, "later")).toMatchObject({ error: { code: "ENOSPC" } });
    expect(failures).toHaveLength(1);
    expect(spool.failure).toBe(failures[0]);
    expect(textOf()).toBe("");
    spool.close();
  });

  it("with fsync tells a call only when the disk has it, and shares one sync among those that came meanwhile", async () => {
    const spool = open(true);
    const pending: ((error: Error | null) => void)[] = [];
    vi.mocked(fs.fdatasync).mockImplementation((_, callback) => {
      pending.push(callback);
    });
    const told: string[] = [];
    const appended = (record: string) => append(spool, 0, record).then(() => told.push(record));
    const first = appended("first");
    await vi.waitFor(() => expect(pending).toHaveLength(1));
    const others = [appended("second"), appended("third")];
    await new Promise(setImmediate);
    expect([told, spool.isSettled]).toEqual([[], false]);
    pending[0]?.(null);
    await first;
    expect(told).toEqual(["first"]);
    pending[1]?.(null);
    await Promise.all(others);
    expect(told).toEqual(["first", "second", "third"]);
    expect([pending.length, spool.isSettled]).toEqual([2, true]);
    spool.close();
  });

  it("fails the calls of a sync that failed and those that waited behind it, and says so once", async () => {
    const spool = open(true);
    const pending: ((error: Error | null) => void)[] = [];
    vi.mocked(fs.fdatasync).mockImplementation((_, callback) => {
      pending.push(callback);
    });
    const first = append(spool, 0, "first");
    await vi.waitFor(() => expect(pending).toHaveLength(1));
    const second = append(spool, 0, "second");
    await new Promise(setImmediate);
    pending[0]?.(new Error("EIO"));
    expect(await first).toMatchObject({ error: { message: "EIO" } });
    expect(await second).toMatchObject({ error: { message: "EIO" } });
    expect(failures).toHaveLength(1);
    expect(pending).toHaveLength(1);
    spool.close();
  });
});
