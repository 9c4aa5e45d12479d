import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { environment } from "./environment.ts";

const biome = (includes: string[], level = "error") =>
  JSON.stringify({
    linter: { rules: { style: { noProcessEnv: level } } },
    overrides: [{ includes, linter: { rules: { style: { noProcessEnv: "off" } } } }],
  });

test("env.ts files, the launcher and tests may read the environment", async () => {
  const files = {
    "apps/api/src/env.ts": "export const port = process.env.PORT;",
    "infra/dev/src/main.ts": "const { PORT } = process.env;",
    "apps/api/src/main.test.ts": "process.env.PORT = '1';",
    "biome.json": biome(["**/env.ts", "infra/**"]),
  };
  expect(await environment.check(treeOf(files))).toEqual([]);
});

test("nobody else may, and a file that only sounds like env.ts is somebody else", async () => {
  const files = {
    "apps/api/src/main.ts": "\nconst { PORT } = process.env;",
    "apps/api/src/notenv.ts": 'const port = process["env"].PORT;',
  };
  expect(await environment.check(treeOf(files))).toEqual([
    expect.objectContaining({ path: "apps/api/src/main.ts", line: 2 }),
    expect.objectContaining({ path: "apps/api/src/notenv.ts", line: 1 }),
  ]);
});

test("biome's own rule must be on and have no further holes", async () => {
  expect(await environment.check(treeOf({ "biome.json": biome(["**/env.ts", "apps/**"]) }))).toEqual([
    { path: "biome.json", message: "lets apps/** read the environment" },
  ]);
  expect(await environment.check(treeOf({ "biome.json": biome([], "warn") }))).toEqual([
    { path: "biome.json", message: "noProcessEnv must be an error" },
  ]);
});
