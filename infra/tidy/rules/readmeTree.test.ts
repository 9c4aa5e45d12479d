import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { readmeTree } from "./readmeTree.ts";

const readme = (...lines: string[]): string => ["# X", "## The tree", "", "```", ...lines, "```"].join("\n");
const check = async (text: string): Promise<string[]> => {
  const files = { "README.md": text, "apps/api/src/main.ts": "", "docs/x.md": "", ".ci/run": "", "biome.json": "{}" };
  return (await readmeTree.check(treeOf(files))).map(({ line, message }) => `${line} ${message}`);
};

test("a tree that names every directory and every app passes", async () => {
  expect(await check(readme("apps/   the processes: api", "docs/   guides"))).toEqual([]);
});

test("a description may go on in indented lines", async () => {
  expect(await check(readme("apps/   the processes,", "        of which api is one", "docs/   guides"))).toEqual([]);
});

test("a directory that is missing, one too many, and an app that is not named are refused", async () => {
  expect(await check(readme("apps/   the processes: api"))).toEqual(["4 the tree lacks docs/"]);
  expect(await check(readme("apps/   api", "docs/   guides", "web/   a page"))).toEqual(["7 there is no web/"]);
  expect(await check(readme("apps/   the processes", "docs/   guides"))).toEqual(["5 the tree does not name apps/api"]);
  expect(await check("# X")).toHaveLength(1);
});
