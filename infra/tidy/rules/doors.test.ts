import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { doors } from "./doors.ts";

const check = (source: string, file = "apps/api/src/main.ts") =>
  doors.check(
    treeOf({
      "apps/api/package.json": JSON.stringify({ name: "@tollgate/api" }),
      "packages/services/package.json": JSON.stringify({
        name: "@tollgate/services",
        exports: { ".": "./src/index.ts", "./*": "./src/*/index.ts" },
      }),
      [file]: source,
    }),
  );

test.each([
  'import { revokeKey } from "@tollgate/services/keys";',
  'import type { Verb } from "@tollgate/services";',
  'import { createServer } from "node:http"; import { apiEnv } from "./env.ts";',
])("a package is entered by its exports: %s", async (source) => {
  expect(await check(source)).toEqual([]);
});

test.each([
  ['import { insertKey } from "@tollgate/services/keys/insertKey.ts";', "not among the exports"],
  ['export * from "@tollgate/services/src/index.ts";', "not among the exports"],
  ['const it = await import("@tollgate/nothing");', "is no workspace"],
  ['import { revokeKey } from "../../../packages/services/src/keys/index.ts";', "into packages/services"],
  ['import biome from "../../../biome.json";', "into the root"],
])("there is no way in beside them: %s", async (source, message) => {
  expect(await check(source)).toEqual([
    { path: "apps/api/src/main.ts", line: 1, message: expect.stringContaining(message) },
  ]);
});

test("benchmarks may time a step of the gateway, and nobody else may", async () => {
  const files = {
    "apps/gateway/package.json": JSON.stringify({ name: "@tollgate/gateway" }),
    "bench/package.json": JSON.stringify({ name: "@tollgate/bench" }),
    "bench/src/keys.ts": 'import { reserve } from "../../apps/gateway/src/admission/reserve.ts";',
    "apps/api/package.json": JSON.stringify({ name: "@tollgate/api" }),
    "apps/api/src/keys.ts": 'import { reserve } from "../../gateway/src/admission/reserve.ts";',
  };
  expect((await doors.check(treeOf(files))).map(({ path }) => path)).toEqual(["apps/api/src/keys.ts"]);
});
