import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { layers } from "./layers.ts";

const manifest = (name: string, dependencies: string[] = [], devDependencies: string[] = []): string => {
  const versions = (names: string[]) => Object.fromEntries(names.map((each) => [`@tollgate/${each}`, "*"]));
  return JSON.stringify({
    name: `@tollgate/${name}`,
    exports: { ".": "./src/index.ts" },
    dependencies: versions(dependencies),
    devDependencies: versions(devDependencies),
  });
};
const messages = async (files: Record<string, string>): Promise<string[]> =>
  (await layers.check(treeOf(files))).map(({ path, message }) => `${path} ${message}`);

test("a package may build on what is below it", async () => {
  const files = {
    "packages/kernel/package.json": manifest("kernel"),
    "packages/services/package.json": manifest("services", ["kernel", "db"], ["testing"]),
    "packages/services/src/keys/revokeKey.ts": 'import { schema } from "@tollgate/db";',
    "packages/services/src/keys/keys.int.test.ts": 'import { createTestDatabase } from "@tollgate/testing";',
  };
  expect(await messages(files)).toEqual([]);
});

test("a package may not depend on what is above it, nor import it", async () => {
  const files = {
    "packages/db/package.json": manifest("db", ["services"]),
    "packages/db/src/index.ts": '\nexport { revokeKey } from "@tollgate/services";',
    "packages/services/package.json": manifest("services"),
  };
  expect(await messages(files)).toEqual([
    "packages/db/package.json may not depend on @tollgate/services",
    "packages/db/src/index.ts may not import @tollgate/services: dependencies point down only",
  ]);
});

test("only tests use what is there for tests, and an import by name is seen also when it is dynamic", async () => {
  const files = {
    "apps/api/package.json": manifest("api", ["kernel"], ["testing"]),
    "apps/api/src/main.ts": 'const { testUrls } = await import("@tollgate/testing");',
  };
  expect(await messages(files)).toEqual([
    "apps/api/src/main.ts may not import @tollgate/testing: dependencies point down only",
  ]);
});

test("the client sees the routers' types and none of their code", async () => {
  const files = (source: string) => ({
    "packages/client/package.json": manifest("client", [], ["routers"]),
    "packages/client/src/index.ts": source,
  });
  expect(await messages(files('import type { AppRouter } from "@tollgate/routers";'))).toEqual([]);
  expect(await messages(files('import { appRouter } from "@tollgate/routers";'))).toHaveLength(1);
});

test("an import must be named in the package.json, and a workspace must have a place in the table", async () => {
  const files = {
    "packages/services/package.json": manifest("services"),
    "packages/services/src/index.ts": 'import { newId } from "@tollgate/kernel";',
    "packages/surprise/package.json": manifest("surprise"),
  };
  expect(await messages(files)).toEqual([
    "packages/services/src/index.ts imports @tollgate/kernel, which its package.json does not name",
    "packages/surprise/package.json has no place in the table of layers",
  ]);
});
