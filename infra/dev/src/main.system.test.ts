import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { removeServerData } from "./servers/index.ts";
import { createFixtureCheckout } from "./system/fixtures/checkout.ts";
import { runningIn } from "./system/fixtures/runningIn.ts";
import type { ReadyInfo } from "./system/index.ts";

/** The launcher as people run it, in a checkout whose programs are stand-ins that start fast. */
const SOURCE = fileURLToPath(new URL(".", import.meta.url));
const CACHE = fileURLToPath(new URL("../../../.cache/devservers", import.meta.url));
const MANIFEST = JSON.stringify({ type: "module", scripts: { dev: "exec node --import tsx infra/dev/src/main.ts" } });

let root: string;
let npm: ChildProcess;
let output: string;

beforeAll(async () => {
  root = await createFixtureCheckout();
  await cp(SOURCE, path.join(root, "infra/dev/src"), { recursive: true });
  await mkdir(CACHE, { recursive: true });
  await mkdir(path.join(root, ".cache"));
  await symlink(CACHE, path.join(root, ".cache/devservers"));
  await writeFile(path.join(root, "package.json"), MANIFEST);
});
afterEach(async () => {
  npm.kill("SIGKILL");
  await removeServerData(path.join(root, ".dev"));
});
afterAll(() => rm(root, { recursive: true }));

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const readyFile = (): string => path.join(root, ".dev/ready.json");

interface Started {
  readonly ready: ReadyInfo;
  readonly launcher: number;
  /** The launcher's and those of everything it started. */
  readonly pids: readonly number[];
}

/** Runs `npm run dev` until it has printed a text. */
async function spawnDev(text: string, ...args: string[]): Promise<void> {
  output = "";
  npm = spawn("npm", ["run", "dev", "--", ...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true });
  for (const stream of [npm.stdout, npm.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  await says(text);
}
const says = (text: string): Promise<void> =>
  vi.waitFor(() => expect(output).toContain(text), { timeout: 60_000, interval: 20 });

/** Runs `npm run dev` until it says that it is ready. */
async function startDev(...args: string[]): Promise<Started> {
  await spawnDev("Ctrl-C stops everything", ...args);
  const ready: ReadyInfo = JSON.parse(await readFile(readyFile(), "utf8"));
  const launcher = Number((await readFile(path.join(root, ".dev/launcher.lock"), "utf8")).split(" ")[0]);
  const started = Object.values(ready.pids).flatMap((pid) => (typeof pid === "number" ? [pid] : Object.values(pid)));
  const pids = [launcher, ...started];
  expect(pids.filter(isAlive)).toEqual(pids);
  return { ready, launcher, pids };
}
const gone = (pids: readonly number[]): Promise<void> =>
  vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 20_000, interval: 50 });

/** What a terminal does: its foreground process group gets the signal, which is npm and the launcher alike. */
function pressCtrlC(): void {
  if (npm.exitCode === null && npm.signalCode === null) process.kill(-(npm.pid ?? 0), "SIGINT");
}
/** Presses Ctrl-C again and again, as the impatient do. */
const pressUntilGone = (pids: readonly number[]): Promise<void> =>
  vi.waitFor(
    () => {
      pressCtrlC();
      expect(pids.filter(isAlive)).toEqual([]);
    },
    { timeout: 20_000, interval: 250 },
  );

const nothingRuns = (): Promise<void> =>
  vi.waitFor(async () => expect(await runningIn(root)).toEqual([]), { timeout: 20_000, interval: 50 });

test("npm run dev prints what one needs to begin, and ends in order on SIGTERM", async () => {
  const { ready, pids } = await startDev("--gateways", "3");
  expect(ready.gatewayUrls).toHaveLength(3);
  for (const text of [ready.apiUrl, ready.mailUrl, ready.demo.key, ready.demo.password, ready.admin.email])
    expect(output).toContain(text);
  expect(output).toContain(
    `curl -o qr.png -H 'Authorization: Bearer ${ready.demo.key}' '${ready.gatewayUrl}/v1/qr/generate?text=hello'`,
  );
  expect(output).toMatch(/gateway-2 .*INFO.*listening/);
  npm.kill("SIGTERM");
  await once(npm, "exit");
  await gone(pids);
  expect(output).toContain("stopped");
  await expect(access(readyFile())).rejects.toMatchObject({ code: "ENOENT" });
});

test("a launcher that is killed with -9 leaves nothing running, and the next one takes over", async () => {
  const { launcher, pids } = await startDev("--quiet");
  process.kill(launcher, "SIGKILL");
  await gone(pids);
  const again = await startDev("--quiet");
  npm.kill("SIGTERM");
  await gone(again.pids);
});

test("when npm is killed with -9 the launcher ends everything", async () => {
  const { pids } = await startDev("--quiet");
  npm.kill("SIGKILL");
  await gone(pids);
  await expect(access(readyFile())).rejects.toMatchObject({ code: "ENOENT" });
});

test("Ctrl-C at the terminal ends everything in order and leaves nothing running", async () => {
  const { pids } = await startDev();
  if (process.platform === "linux") expect((await runningIn(root)).length).toBeGreaterThan(5);
  const exited = once(npm, "exit");
  pressCtrlC();
  await exited;
  await gone(pids);
  await nothingRuns();
  expect(output).toMatch(/stopping \(SIGINT\)[\s\S]*stopped/);
  await expect(access(readyFile())).rejects.toMatchObject({ code: "ENOENT" });
});

test("another Ctrl-C while a program takes its time to end leaves nothing running either, at once", async () => {
  const gateway = path.join(root, "apps/gateway/src/main.ts");
  const source = await readFile(gateway, "utf8");
  await writeFile(gateway, source.replace('"SIGTERM", () => process.exit(0)', '"SIGTERM", () => undefined'));
  const { pids } = await startDev("--no-reload");
  await writeFile(gateway, source);
  const exited = once(npm, "exit");
  const pressedAtMs = performance.now();
  pressCtrlC();
  await says("stopping (SIGINT)");
  await pressUntilGone(pids);
  // Sooner than the ten seconds that a program is given.
  expect(performance.now() - pressedAtMs).toBeLessThan(8_000);
  await exited;
  await nothingRuns();
  expect(output).not.toContain("stopped");
  await expect(access(readyFile())).rejects.toMatchObject({ code: "ENOENT" });
});

test("Ctrl-C while it starts leaves nothing running, and the next start finds everything free", async () => {
  await spawnDev("PostgreSQL, Redis, NATS and etcd are up", "--quiet");
  const exited = once(npm, "exit");
  pressCtrlC();
  await exited;
  await nothingRuns();
  // A PostgreSQL that had been left running would keep its data from this one.
  const { pids } = await startDev("--quiet");
  npm.kill("SIGTERM");
  await gone(pids);
});

test("with --servers it starts no programs, says how to run them and who may sign in, and ends on Ctrl-C", async () => {
  await spawnDev("Ctrl-C stops everything", "--servers");
  expect(output).toMatch(/The servers are up after .*\n\n {2}npx turbo dev\n/);
  expect(output).toMatch(/Admin .*\n {2}Demo .*\n[\s\S]*curl -o qr\.png/);
  const running = await runningIn(root);
  if (process.platform === "linux") expect(running.join("\n")).toMatch(/redis-server|valkey-server/);
  expect(running.filter((command) => /(apps|examples)\//.test(command))).toEqual([]);
  const environment = await readFile(path.join(root, ".dev/env/gateway-1.env"), "utf8");
  expect(environment).toContain("GATEWAY_PORT=");
  await expect(access(readyFile())).rejects.toMatchObject({ code: "ENOENT" });
  const exited = once(npm, "exit");
  pressCtrlC();
  await exited;
  await nothingRuns();
});

test("a wrong option is refused with what is right", async () => {
  npm = spawn(process.execPath, ["--import", "tsx", "infra/dev/src/main.ts", "--gateways", "none"], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const messages: string[] = [];
  npm.stderr?.on("data", (chunk) => messages.push(String(chunk)));
  const [code] = await once(npm, "close");
  expect(code).toBe(1);
  expect(messages.join("")).toBe("--gateways takes a number from 1 to 16\n");
});
