import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const biome = path.join(
  path.dirname(createRequire(import.meta.url).resolve("@biomejs/biome/package.json")),
  "bin/biome",
);

const REFUSED = {
  "packages/services/src/keys/revokeKey.ts": "export const now = Date.now();\n",
  "apps/gateway/src/holder.ts": "export const now = new Date();\n",
  "packages/kernel/src/clockwork.ts": "export const now = [1].map(() => Date.now());\n",
};
const ALLOWED = {
  "packages/kernel/src/clock.ts": "export const now = Date.now();\n",
  "packages/services/src/keys/keys.test.ts": "export const now = new Date();\n",
  "infra/dev/src/main.ts": "export const now = Date.now();\n",
  "packages/services/src/keys/listKeys.ts": "export const epoch = new Date(0);\n",
};

/** What biome says, under the house's own configuration, of a project with these files. */
let output: string;
let project: string;

beforeAll(() => {
  project = mkdtempSync(path.join(tmpdir(), "tollgate-lint-"));
  mkdirSync(path.join(project, "infra/lint"), { recursive: true });
  for (const file of ["biome.json", "infra/lint/clock.grit"]) {
    copyFileSync(path.join(root, file), path.join(project, file));
  }
  for (const [file, source] of Object.entries({ ...REFUSED, ...ALLOWED })) {
    mkdirSync(path.dirname(path.join(project, file)), { recursive: true });
    writeFileSync(path.join(project, file), source);
  }
  const args = [biome, "lint", "--vcs-enabled=false", "--colors=off", "--max-diagnostics=none", "."];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8" });
  output = stdout + stderr;
});
afterAll(() => rmSync(project, { recursive: true }));

/** The files with a finding of the rule: each finding begins with `path:line:column plugin` and ends with its message. */
const refused = (): string[] => [...output.matchAll(/^(\S+?):\d+:\d+ plugin/gm)].map((match) => match[1] ?? "").sort();

test("the real clock enters the product in clock files alone; tests and tooling may measure real time", () => {
  expect(refused()).toEqual(Object.keys(REFUSED).sort());
  expect(output.match(/Use ctx\.clock/g)).toHaveLength(Object.keys(REFUSED).length);
});
