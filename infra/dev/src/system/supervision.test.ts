import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FixtureRunnable } from "./fixtures/fixtureRunnable.ts";
import { brokenRunnable, fixtureRunnable } from "./fixtures/fixtureRunnable.ts";
import { Fleet } from "./fleet.ts";
import { takeLauncherLock } from "./launcherLock.ts";
import { removeReadyFile, writeReadyFile } from "./readyFile.ts";
import { programOf, programsUsing } from "./reload.ts";
import { loadSecrets, saveSecrets } from "./secrets.ts";
import { pauseMs } from "./supervised.ts";

let dir: string;
let fleet: Fleet;
let onSpawn: () => void;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-supervision-"));
  onSpawn = () => undefined;
  fleet = new Fleet(
    () => undefined,
    () => onSpawn(),
  );
});
afterEach(async () => {
  await fleet.kill();
  await rm(dir, { recursive: true });
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const gone = (pids: readonly number[]): Promise<void> =>
  vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 10_000, interval: 20 });
const servingPid = async (program: FixtureRunnable): Promise<number> => Number(await (await fetch(program.url)).text());

describe("a supervised process", () => {
  test("that is killed is back on the same port, and its new pid is known before it answers", async () => {
    const program = await fixtureRunnable("api", dir);
    await fleet.start("api", [program]);
    for (let round = 0; round < 3; round++) {
      const pid = fleet.pid("api");
      expect(await servingPid(program)).toBe(pid);
      process.kill(pid, "SIGKILL");
      await gone([pid]);
      const next = await vi.waitFor(() => servingPid(program), { timeout: 10_000, interval: 5 });
      expect(next).not.toBe(pid);
      expect(fleet.pid("api")).toBe(next);
    }
  });

  test("that ends by itself is started again, and one that we replace drains first", async () => {
    const program = await fixtureRunnable("api", dir);
    await fleet.start("api", [program]);
    const first = fleet.pid("api");
    process.kill(first, "SIGTERM");
    await vi.waitFor(async () => expect(await servingPid(program)).not.toBe(first), { timeout: 10_000, interval: 10 });
    const second = fleet.pid("api");
    await fleet.restart((name) => name === "api");
    await vi.waitFor(async () => expect(await servingPid(program)).not.toBe(second), { timeout: 10_000, interval: 10 });
    expect(await readFile(path.join(dir, "ended.txt"), "utf8")).toBe("api\napi\n");
  });

  test("that never comes up fails the start with what it said", async () => {
    await expect(fleet.start("api", [brokenRunnable("api", dir)])).rejects.toThrow(
      /api exited with code 3[\s\S]*the port is not set/,
    );
  });

  test("that keeps failing is given pauses of 100 ms doubling to 5 s, and none after its first failure", () => {
    expect([0, 1, 2, 3, 4, 7, 8, 30].map(pauseMs)).toEqual([0, 0, 100, 200, 400, 3_200, 5_000, 5_000]);
  });
});

test("a system ends in order: gateways, then the API, then workers, then servers", async () => {
  await fleet.start("servers", [await fixtureRunnable("postgres", dir)]);
  await Promise.all([
    fleet.start("workers", [await fixtureRunnable("workers", dir)]),
    fleet.start("api", [await fixtureRunnable("api", dir)]),
    fleet.start("gateways", [await fixtureRunnable("gateway-1", dir), await fixtureRunnable("gateway-2", dir)]),
  ]);
  await fleet.stop();
  const ended = (await readFile(path.join(dir, "ended.txt"), "utf8")).trim().split("\n");
  expect(ended.slice(0, 2).sort()).toEqual(["gateway-1", "gateway-2"]);
  expect(ended.slice(2)).toEqual(["api", "workers", "postgres"]);
});

test("a reader of ready.json never sees half of it while it is rewritten", async () => {
  const script = `
    const { readFileSync } = require("node:fs");
    let reads = 0;
    process.stdout.write("reading\\n");
    process.on("SIGTERM", () => { process.stdout.write(String(reads)); process.exit(0); });
    const read = () => { const { a, b } = JSON.parse(readFileSync(process.argv[1], "utf8")); if (a.length !== 50000 || a !== b) process.exit(1); reads++; setImmediate(read); };
    read();`;
  const write = (round: number): void => {
    const text = `${round % 10}`.repeat(50_000);
    writeReadyFile(dir, { a: text, b: text });
  };
  write(0);
  const reader = spawn(process.execPath, ["-e", script, path.join(dir, "ready.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output: string[] = [];
  reader.stdout.on("data", (data) => output.push(String(data)));
  await once(reader.stdout, "data");
  for (let round = 1; round <= 300; round++) write(round);
  reader.kill("SIGTERM");
  const [code] = await once(reader, "close");
  expect(code).toBe(0);
  expect(Number(output.join("").split("\n")[1])).toBeGreaterThan(0);
  removeReadyFile(dir);
  await expect(readFile(path.join(dir, "ready.json"))).rejects.toMatchObject({ code: "ENOENT" });
});

describe.each(["pdeathsig", "watchdog"] as const)("when the launcher is killed with -9, guarded by %s,", (guard) => {
  // The kernel's way is Linux's alone.
  test.runIf(guard === "watchdog" || process.platform === "linux")("nothing it started lives on", async () => {
    const launcherFile = fileURLToPath(new URL("./fixtures/launcher.ts", import.meta.url));
    const launcher = spawn(process.execPath, ["--import", "tsx", launcherFile, guard, dir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(launcher.stdout, "data")) as [Buffer];
    const pids = JSON.parse(String(line)) as number[];
    expect(pids.map(isAlive)).toEqual([true, true]);
    launcher.kill("SIGKILL");
    await gone(pids);
  });
});

describe("a directory", () => {
  test("is refused while another launcher lives in it, and taken over from a dead one", async () => {
    const other = execFile(process.execPath, ["-e", "setInterval(() => undefined, 1000)"]);
    const lock = takeLauncherLock(dir);
    expect(() => takeLauncherLock(dir)).toThrow(/Another launcher \(pid \d+\) already runs/);
    lock.release();
    // The pid of a live process, but of one that started at another time: a pid that was used again.
    await writeFile(path.join(dir, "launcher.lock"), `${other.pid} 1`);
    takeLauncherLock(dir).release();
    other.kill("SIGKILL");
  });

  test("keeps its secrets over restarts, for its owner alone, and refuses damaged ones", async () => {
    const secrets = await loadSecrets(dir);
    expect(secrets.tollgateSecret.length).toBeGreaterThanOrEqual(32);
    await saveSecrets(dir, { ...secrets, demoKey: "key" });
    expect(await loadSecrets(dir)).toEqual({ ...secrets, demoKey: "key" });
    const file = path.join(dir, "secrets.json");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await writeFile(file, "{}");
    await expect(loadSecrets(dir)).rejects.toThrow(/damaged/);
  });
});

test("a change restarts the programs that run it and no others", () => {
  expect(programsUsing(["apps/gateway/src/main.ts"])).toEqual(new Set(["gateway"]));
  expect(programsUsing(["examples/qr/src/main.ts", "apps/api/src/env.ts"])).toEqual(new Set(["qr", "api"]));
  expect(programsUsing(["packages/kernel/src/money.ts"])).toEqual(
    new Set(["helloworld", "qr", "text", "api", "gateway", "workers"]),
  );
  expect(programsUsing(["packages/testing/src/index.ts"])).toEqual(new Set());
  expect(["gateway-2", "api"].map(programOf)).toEqual(["gateway", "api"]);
});
