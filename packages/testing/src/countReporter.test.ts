import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const reporter = fileURLToPath(new URL("./countReporter.ts", import.meta.url));
const vitest = fileURLToPath(new URL("../../../node_modules/vitest/vitest.mjs", import.meta.url));
let dir: string;

beforeAll(async () => {
  // Inside the package, so that the files find vitest.
  dir = await mkdtemp(fileURLToPath(new URL("../.tmp-", import.meta.url)));
});
afterAll(() => rm(dir, { recursive: true }));

/** Runs vitest on one file and returns its exit code and its last line. */
async function runFile(name: string, source: string, setup?: string): Promise<{ code: number; lastLine: string }> {
  const { code, lines } = await linesOf(name, source, setup);
  return { code, lastLine: lines.at(-1) ?? "" };
}

async function linesOf(name: string, source: string, setup?: string): Promise<{ code: number; lines: string[] }> {
  const root = path.join(dir, name);
  await mkdir(root);
  await writeFile(path.join(root, "sample.test.ts"), `import { test, expect } from "vitest";\n${source}`);
  const config = setup === undefined ? {} : { test: { globalSetup: "./setup.ts" } };
  await writeFile(path.join(root, "vitest.config.ts"), `export default ${JSON.stringify(config)};\n`);
  await writeFile(path.join(root, "setup.ts"), setup ?? "");
  const args = [vitest, "run", "--root", root, "--reporter", "default", "--reporter", reporter];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root }, (error, stdout) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, lines: stdout.trimEnd().split("\n") });
    });
  });
}

test("the last line counts what passed, failed and was skipped", async () => {
  const source = `
    test("one", () => {});
    test("two", () => { expect(1).toBe(2); });
    test.skip("three", () => {});`;
  expect(await runFile("mixed", source)).toEqual({ code: 1, lastLine: "1 passed, 1 failed, 1 skipped" });
});

test("a test that skips itself for a reason is named with it before the last line", async () => {
  const source = `
    test("one", () => {});
    test("two", (context) => context.skip("there is no\\n apt-get"));`;
  const { code, lines } = await linesOf("reason", source);
  expect([code, ...lines.slice(-2)]).toEqual([
    0,
    "skipped: two (there is no; apt-get)",
    "1 passed, 0 failed, 1 skipped",
  ]);
});

test("a file that does not load is a failure", async () => {
  expect(await runFile("broken", "throw new Error('no');")).toEqual({ code: 1, lastLine: "0 passed, 1 failed" });
});

test("an error that no test caught is a failure", async () => {
  const source = `test("one", () => { setTimeout(() => { throw new Error("late"); }, 0); return new Promise((done) => setTimeout(done, 20)); });`;
  expect(await runFile("unhandled", source)).toEqual({ code: 1, lastLine: "1 passed, 1 failed" });
});

test("a run without failures says so and exits with 0", async () => {
  expect(await runFile("green", `test("one", () => {});`)).toEqual({ code: 0, lastLine: "1 passed, 0 failed" });
});

test("a run that fails after its last test is a failure", async () => {
  const setup = "export default () => async () => { process.exitCode = 1; throw new Error('late'); };";
  const run = await runFile("late", `test("one", () => {});`, setup);
  expect(run).toEqual({ code: 1, lastLine: "1 passed, 1 failed" });
});
