import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

const run = promisify(execFile);
let root: string;

const library = (version: string) => ({ version, integrity: `sha512-${version}` });
const WANTED = {
  "": { name: "x" },
  "node_modules/a": library("1.0.0"),
  "node_modules/mac-only": { ...library("1.0.0"), optional: true },
};

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "tollgate-bootstrap-"));
  await mkdir(path.join(root, "infra"));
  await mkdir(path.join(root, "node_modules"));
  await copyFile(fileURLToPath(new URL("./bootstrap.mjs", import.meta.url)), path.join(root, "infra/bootstrap.mjs"));
  await writeFile(
    path.join(root, "npm.cjs"),
    'require("node:fs").writeFileSync("npm-ran", process.argv.slice(2).join(" "));',
  );
  await writeLock("package-lock.json", WANTED);
});
afterEach(() => rm(root, { recursive: true }));

const writeLock = (file: string, packages: object): Promise<void> =>
  writeFile(path.join(root, file), JSON.stringify({ lockfileVersion: 3, packages }));
const writeInstalled = (packages: object): Promise<void> => writeLock("node_modules/.package-lock.json", packages);

/** What npm was told to do; undefined if it was not called. */
async function bootstrap(): Promise<string | undefined> {
  await run(process.execPath, ["infra/bootstrap.mjs"], {
    cwd: root,
    env: { ...process.env, npm_execpath: path.join(root, "npm.cjs") },
  });
  return readFile(path.join(root, "npm-ran"), "utf8").catch(() => undefined);
}

test("nothing is installed when what is there is what the lock wants, other platforms' packages aside", async () => {
  await writeInstalled({ "node_modules/a": library("1.0.0") });
  expect(await bootstrap()).toBeUndefined();
});

test.each([
  ["is another version", { "node_modules/a": library("1.0.1") }],
  ["is missing", {}],
  ["is no longer wanted", { "node_modules/a": library("1.0.0"), "node_modules/b": library("1.0.0") }],
])("npm ci runs when a package %s", async (_case, installed) => {
  await writeInstalled(installed);
  expect(await bootstrap()).toMatch(/^ci /);
});

test("npm ci runs when nothing is installed or an installation was cut short", async () => {
  expect(await bootstrap()).toMatch(/^ci /);
  await rm(path.join(root, "npm-ran"));
  await writeFile(path.join(root, "node_modules/.package-lock.json"), '{ "packages": {');
  expect(await bootstrap()).toMatch(/^ci /);
});

test("a failing npm ci fails the command that needed it", async () => {
  await writeFile(path.join(root, "npm.cjs"), "process.exit(7)");
  await expect(bootstrap()).rejects.toMatchObject({ code: 7 });
});
