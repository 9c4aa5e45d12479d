import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { removeServerData } from "../servers/index.ts";
import { runningIn } from "./fixtures/runningIn.ts";
import type { System } from "./startSystem.ts";
import { startSystem } from "./startSystem.ts";

/**
 * What `npm run dev -- --servers` leaves to `npx turbo dev`: the real turbo with the real programs' own `dev` scripts. They
 * read `.dev/env` of their checkout, so this is a checkout of their own.
 */
const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const COPIED = [
  "package.json",
  "package-lock.json",
  "turbo.json",
  "apps",
  "examples",
  "packages",
  "infra/dev/package.json",
];
const PROGRAMS = ["api", "gateway", "workers", "helloworld", "qr", "text"];

let root: string;
let system: System;
let turbo: ChildProcess | undefined;
let output = "";

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "tollgate-turbo-"));
  await mkdir(path.join(root, "infra/dev"), { recursive: true });
  for (const entry of COPIED) {
    const filter = (source: string): boolean => !/\/(node_modules|dist|\.turbo)$/.test(source);
    await cp(path.join(ROOT, entry), path.join(root, entry), { recursive: true, filter });
  }
  await symlink(path.join(ROOT, "node_modules"), path.join(root, "node_modules"));
  system = await startSystem({
    dir: path.join(root, ".dev"),
    ports: "ephemeral",
    log: () => undefined,
    isServersOnly: true,
  });
});
afterAll(async () => {
  if (turbo?.exitCode === null && turbo.signalCode === null) process.kill(-(turbo.pid ?? 0), "SIGKILL");
  await system?.stop();
  await removeServerData(path.join(root, ".dev"));
  await rm(root, { recursive: true, force: true });
});

const eventually = (check: () => Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 120_000, interval: 250 }).catch((error: Error) => {
    throw new Error(`${error.message}\n${output.slice(-4_000)}`);
  });
async function environmentOf(program: string): Promise<Record<string, string>> {
  const text = await readFile(path.join(root, ".dev/env", `${program}.env`), "utf8");
  return Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => [line.split("=", 1)[0], JSON.parse(line.replace(/^\w+=/, ""))]),
  );
}

test("with servers only nothing of the product runs, and every program's environment is written down", async () => {
  const { info } = system;
  await expect(fetch(info.apiUrl)).rejects.toThrow("fetch failed");
  await expect(fetch(info.gatewayUrl)).rejects.toThrow("fetch failed");
  await expect(access(path.join(root, ".dev/ready.json"))).rejects.toMatchObject({ code: "ENOENT" });
  for (const program of ["api", "gateway-1", "workers"]) {
    expect(await environmentOf(program)).toMatchObject({ DATABASE_URL: info.databaseUrl, NATS_URL: info.natsUrl });
  }
});

test("turbo dev brings every program up against these servers, a paid call is served, and Ctrl-C ends all of them", async () => {
  const { info } = system;
  turbo = spawn("npx", ["turbo", "dev"], {
    cwd: root,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  for (const stream of [turbo.stdout, turbo.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  const workers = await environmentOf("workers");
  const urls = [info.apiUrl, info.gatewayUrl, `http://127.0.0.1:${workers["WORKERS_PORT"]}`].map(
    (url) => `${url}/readyz`,
  );
  urls.push(...Object.values(info.exampleUrls).map((url) => `${url}/healthz`));
  expect(urls).toHaveLength(PROGRAMS.length);
  await eventually(async () => {
    const statuses = await Promise.all(urls.map(async (url) => `${(await fetch(url)).status} ${url}`));
    expect(statuses).toEqual(urls.map((url) => `200 ${url}`));
  });
  // The examples have published themselves and registered their instances.
  await eventually(async () => {
    const headers = { authorization: `Bearer ${info.demo.key}` };
    const answer = await fetch(`${info.gatewayUrl}/v1/qr/generate?text=hello`, { headers });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "image/png"]);
    expect(Number(answer.headers.get("tollgate-price"))).toBeGreaterThan(0);
  });
  if (process.platform === "linux") {
    const running = (await runningIn(root)).join("\n");
    for (const program of PROGRAMS) expect(running).toMatch(new RegExp(`env-file=\\S*/${program}(-1)?\\.env`));
  }

  const exited = once(turbo, "exit");
  process.kill(-(turbo.pid ?? 0), "SIGINT");
  await exited;
  await eventually(async () => {
    expect((await runningIn(root)).filter((command) => command.includes("env-file"))).toEqual([]);
  });
  for (const url of urls) await expect(fetch(url)).rejects.toThrow("fetch failed");
  // The servers are not turbo's: they stay until their own terminal ends them.
  expect((await fetch(`${info.etcdUrl}/health`)).status).toBe(200);
});
