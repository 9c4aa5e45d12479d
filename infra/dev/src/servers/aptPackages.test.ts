import { access, mkdtemp, readdir, readFile, rm, truncate, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { canFetchAptPackages, fetchAptPackages } from "./aptPackages.ts";
import { findLaunches } from "./findLaunches.ts";
import { AptArchive } from "./fixtures/aptArchive.ts";
import type { Tool } from "./tool.ts";

/** The real apt-get and dpkg-deb on an archive of our own, so that no network is needed and every failure can be had. */
const SERVER = "tollgate-test-server";
const LIBRARY = "tollgate-test-library";
const FRESH_LISTS = /package lists are missing or out of date/;
const tool: Tool = {
  name: "redis",
  executables: [SERVER],
  versionMin: [1, 0],
  aptPackage: SERVER,
  brewPackage: SERVER,
  image: "tollgate/test-server:1",
  urlVariable: "REDIS_URL",
};

let dir: string;
let cache: string;
let archive: AptArchive;
let lines: string[];
const log = (line: string): void => void lines.push(line);

beforeEach(async (context) => {
  context.skip(!(await canFetchAptPackages()), "there is no apt-get or no dpkg-deb on this machine");
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-apt-"));
  cache = path.join(dir, "cache");
  archive = await new AptArchive(path.join(dir, "archive")).open();
  vi.stubEnv("APT_CONFIG", archive.configFile);
  lines = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

/** A server with a library that no machine has. It depends on dpkg as well, which every machine with apt has. */
const publish = async (version: string): Promise<{ server: string; library: string }> => ({
  server: await archive.publish({
    name: SERVER,
    version,
    depends: `${LIBRARY} (= ${version}), dpkg`,
    files: {
      [`usr/bin/${SERVER}`]: `#!/bin/sh\necho "server v=${version}"\n`,
      [`usr/share/${SERVER}/only-in-${version}`]: "",
    },
  }),
  library: await archive.publish({ name: LIBRARY, version, files: { [`usr/lib/${LIBRARY}.so`]: version } }),
});
const versionIn = (root: string, file: string): Promise<string> => readFile(path.join(root, file), "utf8");
const target = (): string => path.join(cache, "apt-redis");

test("a server that the machine lacks is fetched with the libraries it lacks, and found in the cache from then on", async () => {
  await publish("1.2");
  await archive.updateSystemLists();
  const file = path.join(cache, "apt-redis/usr/bin", SERVER);
  expect((await findLaunches([tool], cache, log)).get(tool)).toMatchObject({ kind: "binary", file });
  expect(await versionIn(target(), `usr/lib/${LIBRARY}.so`)).toBe("1.2");
  // What the machine has is not fetched: nothing of dpkg is there.
  expect(await readdir(path.join(target(), "usr/bin"))).toEqual([SERVER]);
  expect(lines.join("\n")).toMatch(/^fetching tollgate-test-server/);
  expect(lines.join("\n")).not.toMatch(FRESH_LISTS);
  lines = [];
  expect((await findLaunches([tool], cache, log)).get(tool)).toMatchObject({ kind: "binary", file });
  expect(lines).toEqual([]);
  expect(await readdir(cache)).toEqual(["apt-redis"]);
});

test("a machine whose package lists are empty gets fresh ones, privately", async () => {
  await publish("1.2");
  await fetchAptPackages([SERVER], target(), log);
  expect(await versionIn(target(), `usr/lib/${LIBRARY}.so`)).toBe("1.2");
  expect(lines).toEqual([expect.stringMatching(FRESH_LISTS)]);
  expect(await readdir(path.join(dir, "archive/lists"))).toEqual(["partial"]);
});

test("where the lists are older than the archive, everything is of the fresh ones and nothing of the old", async () => {
  const old = await publish("1.2");
  await archive.updateSystemLists();
  // The archive keeps an old server for a while, and its library no longer.
  await unlink(old.library);
  await publish("1.10");
  await fetchAptPackages([SERVER], target(), log);
  expect(await versionIn(target(), `usr/bin/${SERVER}`)).toContain("v=1.10");
  expect(await versionIn(target(), `usr/lib/${LIBRARY}.so`)).toBe("1.10");
  expect(await readdir(path.join(target(), "usr/share", SERVER))).toEqual(["only-in-1.10"]);
});

test.each<[what: string, spoil: (files: { server: string; library: string }) => Promise<void>, words: RegExp]>([
  ["is not in the archive after all", ({ library }) => unlink(library), /tollgate-test-library/],
  ["was cut short", ({ library }) => truncate(library, 200), /size|hash|mismatch/i],
])("a package that %s fails with apt's own words and leaves nothing in the cache", async (_, spoil, words) => {
  await spoil(await publish("1.2"));
  await expect(fetchAptPackages([SERVER], target(), log)).rejects.toThrow(words);
  await expect(access(target())).rejects.toMatchObject({ code: "ENOENT" });
  expect(await readdir(cache)).toEqual([]);
  // Nothing is remembered of it either.
  await publish("1.2");
  await fetchAptPackages([SERVER], target(), log);
  expect(await readdir(cache)).toEqual(["apt-redis"]);
});

test("a package that nobody has fails with its name and leaves nothing in the cache", async () => {
  await expect(fetchAptPackages([SERVER], target(), log)).rejects.toThrow(SERVER);
  expect(await readdir(cache)).toEqual([]);
});

test("two that fetch the same at the same time both have it, whole, once", async () => {
  await publish("1.2");
  await Promise.all([1, 2].map(() => fetchAptPackages([SERVER], target(), log)));
  expect(await versionIn(target(), `usr/lib/${LIBRARY}.so`)).toBe("1.2");
  expect(await readdir(cache)).toEqual(["apt-redis"]);
});
