import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
let copy: string;

/** A copy of the checkout with the same libraries, whose own packages are those of the copy. */
beforeAll(async () => {
  copy = await realpath(await mkdtemp(path.join(tmpdir(), "tollgate-generate-")));
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const file of listed.toString().split("\0")) {
    if (file === "" || !existsSync(path.join(root, file))) continue;
    cpSync(path.join(root, file), path.join(copy, file));
  }
  for (const place of [".", "apps/*", "packages/*", "examples/*", "infra/*", "bench"].flatMap(directories)) {
    linkLibraries(path.join(place, "node_modules"));
  }
  if (existsSync(path.join(root, ".cache"))) symlinkSync(path.join(root, ".cache"), path.join(copy, ".cache"));
  execFileSync("git", ["init", "--quiet"], { cwd: copy });
  execFileSync("git", ["add", "--all"], { cwd: copy });
});
afterAll(() => rm(copy, { recursive: true, force: true }));

function directories(pattern: string): string[] {
  if (!pattern.endsWith("/*")) return [pattern];
  const parent = pattern.slice(0, -2);
  return readdirSync(path.join(root, parent)).map((name) => path.join(parent, name));
}

function linkLibraries(place: string): void {
  const from = path.join(root, place);
  if (!existsSync(from)) return;
  const to = path.join(copy, place);
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    // Links of workspaces are relative: copied as they are, they lead into the copy.
    if (name === "@tollgate")
      cpSync(path.join(from, name), path.join(to, name), { recursive: true, verbatimSymlinks: true });
    else if (name === ".package-lock.json") cpSync(path.join(from, name), path.join(to, name));
    else if (!name.startsWith(".vite")) symlinkSync(path.join(from, name), path.join(to, name));
  }
}

/** Runs a command in the copy; what it printed is in the error when it fails. */
async function inCopy(command: string, ...args: string[]): Promise<string> {
  const { PATH = "", HOME = "" } = process.env;
  const { stdout } = await run(command, args, { cwd: copy, env: { PATH, HOME }, maxBuffer: 64 * 1024 * 1024 }).catch(
    (error: { stdout?: string; stderr?: string }) => {
      throw new Error(`${command} ${args.join(" ")} failed:\n${error.stdout ?? ""}${error.stderr ?? ""}`);
    },
  );
  return stdout;
}

test("a generated domain passes every rule of the house and its own tests, on a real database", async () => {
  await inCopy("npm", "run", "new", "--", "domain", "samples");
  await inCopy("npm", "run", "verify");
  const output = await inCopy("npx", "vitest", "run", "packages/services/src/samples");
  expect(output).toMatch(/^3 passed, 0 failed$/m);
});

test("a domain that is there already is not written again", async () => {
  await expect(inCopy("npm", "run", "new", "--", "domain", "keys")).rejects.toThrow("nothing was changed");
});
