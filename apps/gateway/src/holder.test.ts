import { performance } from "node:perf_hooks";
import { silentLogger } from "@tollgate/kernel";
import { HOLDER_LIFETIME_MS } from "@tollgate/services/budgets";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HolderPorts } from "./holder.ts";
import { Holder } from "./holder.ts";

let isDatabaseUp: boolean;
let isClosed: boolean;
let opened: string[];
let reopenings: number;
let holder: Holder;

const ports: HolderPorts = {
  open: async (id) => {
    if (!isDatabaseUp) throw new Error("no database");
    opened.push(id);
  },
  renew: async () => {
    if (!isDatabaseUp) throw new Error("no database");
    return !isClosed;
  },
};

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.spyOn(performance, "now").mockImplementation(() => Date.now());
  isDatabaseUp = true;
  isClosed = false;
  opened = [];
  reopenings = 0;
  holder = new Holder({
    runId: "gw_1",
    logger: silentLogger,
    ports,
    onReopened: () => {
      reopenings += 1;
    },
  });
});

afterEach(() => {
  holder.stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a run that holds leases", () => {
  it("may not spend before it is opened", async () => {
    expect(holder.current()).toBeUndefined();
    await holder.open();
    expect(holder.current()).toBe("gw_1.0");
  });

  it("may spend as long as it is renewed", async () => {
    await holder.open();
    await vi.advanceTimersByTimeAsync(10 * HOLDER_LIFETIME_MS);
    expect(holder.current()).toBe("gw_1.0");
  });

  it("stops spending well before others may take its leases, and goes on when the database is back", async () => {
    await holder.open();
    isDatabaseUp = false;
    await vi.advanceTimersByTimeAsync(HOLDER_LIFETIME_MS - 10_001);
    expect(holder.current()).toBe("gw_1.0");
    await vi.advanceTimersByTimeAsync(2);
    expect(holder.current()).toBeUndefined();
    isDatabaseUp = true;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(holder.current()).toBe("gw_1.0");
    expect(reopenings).toBe(0);
  });

  it("counts its time from when it asked, not from when the answer came", async () => {
    let answer: () => void = () => undefined;
    const slow = new Holder({
      runId: "gw_2",
      logger: silentLogger,
      ports: {
        open: () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
        renew: () => new Promise(() => undefined),
      },
      onReopened: () => undefined,
    });
    const opening = slow.open();
    await vi.advanceTimersByTimeAsync(4_000);
    answer();
    await opening;
    await vi.advanceTimersByTimeAsync(HOLDER_LIFETIME_MS - 10_000 - 4_000 - 1);
    expect(slow.current()).toBe("gw_2.0");
    await vi.advanceTimersByTimeAsync(1);
    expect(slow.current()).toBeUndefined();
    slow.stop();
  });

  it("begins anew under another name when its leases were given up, once, and forgets what it held", async () => {
    await holder.open();
    isClosed = true;
    await vi.advanceTimersByTimeAsync(5_000);
    isClosed = false;
    expect(holder.current()).toBe("gw_1.1");
    expect([holder.ids, reopenings, opened]).toEqual([["gw_1.0", "gw_1.1"], 1, ["gw_1.0", "gw_1.1"]]);
    holder.reopen();
    holder.reopen();
    await vi.advanceTimersByTimeAsync(0);
    expect([holder.current(), reopenings]).toEqual(["gw_1.2", 2]);
  });

  it("opens when the database comes up after the gateway", async () => {
    isDatabaseUp = false;
    await expect(holder.open()).rejects.toThrow("no database");
    isDatabaseUp = true;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(holder.current()).toBe("gw_1.0");
  });
});
