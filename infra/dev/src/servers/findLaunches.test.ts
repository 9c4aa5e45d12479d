import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { findLaunches } from "./findLaunches.ts";
import type { Tool } from "./tool.ts";

/** A tool that no machine has, so that only what a test puts there is found. */
const tool: Tool = {
  name: "redis",
  executables: ["tollgate-test-server"],
  versionMin: [6, 2],
  aptPackage: "tollgate-test-server-no-such-package",
  brewPackage: "tollgate-test-server",
  image: "tollgate/test-server:1",
  urlVariable: "REDIS_URL",
};

let dir: string;
let lines: string[];
const log = (line: string): void => void lines.push(line);

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-launches-"));
  await Promise.all(
    ["bin", "newer", "cache/apt-redis/usr/bin"].map((sub) => mkdir(path.join(dir, sub), { recursive: true })),
  );
  lines = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

async function program(file: string, script: string): Promise<string> {
  const target = path.join(dir, file);
  await writeFile(target, `#!/bin/sh\n${script}\n`);
  await chmod(target, 0o755);
  return target;
}
function searchFirst(...subs: string[]): void {
  const { PATH = "" } = process.env;
  vi.stubEnv("PATH", [...subs.map((sub) => path.join(dir, sub)), PATH].join(":"));
}
const version = (text: string): string => `echo "Redis server v=${text} sha=0"`;
const find = async () => (await findLaunches([tool], path.join(dir, "cache"), log)).get(tool);

test("a program on the PATH comes before one in the cache", async () => {
  const file = await program("bin/tollgate-test-server", version("7.0.15"));
  await program("cache/apt-redis/usr/bin/tollgate-test-server", version("7.0.15"));
  searchFirst("bin");
  expect(await find()).toMatchObject({ kind: "binary", file });
});

test("a program that is too old or does not run is passed over, and it is said", async () => {
  await program("bin/tollgate-test-server", version("5.0.9"));
  const newer = await program("newer/tollgate-test-server", version("6.2.0"));
  searchFirst("bin", "newer");
  expect(await find()).toMatchObject({ kind: "binary", file: newer });
  expect(lines.join()).toContain("version 5.0 is older than 6.2");
});

test("a program in the cache finds the libraries it came with", async () => {
  await mkdir(path.join(dir, "cache/apt-redis/usr/lib/x86_64-linux-gnu"), { recursive: true });
  const file = await program("cache/apt-redis/usr/bin/tollgate-test-server", version("7.2.0"));
  const launch = await find();
  expect(launch).toMatchObject({
    kind: "binary",
    file,
    env: { LD_LIBRARY_PATH: path.join(dir, "cache/apt-redis/usr/lib/x86_64-linux-gnu") },
  });
});

test("a container is used when there is no program and an engine answers", async () => {
  await program("bin/apt-get", "exit 1");
  await program("bin/docker", "exit 0");
  searchFirst("bin");
  expect(await find()).toEqual({ kind: "docker", file: "docker", image: tool.image });
});

test("what cannot be had at all is named, with every way out", async () => {
  await program("bin/apt-get", "exit 1");
  await program("bin/docker", "exit 1");
  searchFirst("bin");
  await expect(find()).rejects.toThrow(
    /redis[\s\S]*apt-get install tollgate-test-server[\s\S]*brew install[\s\S]*Docker[\s\S]*REDIS_URL/,
  );
});
