import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { fileSize } from "./fileSize.ts";

const text = (lines: number): string => "x;\n".repeat(lines);

test("a file of 300 lines and a suite of 600 pass; one more needs a reason", async () => {
  const tree = treeOf({
    "a.ts": text(300),
    "b.ts": text(301),
    "c.int.test.ts": text(600),
    "d.int.test.ts": text(601),
    "e.md": text(900),
  });
  expect((await fileSize({}).check(tree)).map(({ path }) => path)).toEqual(["b.ts", "d.int.test.ts"]);
  expect(await fileSize({ "b.ts": "a reason", "d.int.test.ts": "another" }).check(tree)).toEqual([]);
});

test("a reason that is no longer needed is refused", async () => {
  expect(await fileSize({ "a.ts": "a reason" }).check(treeOf({ "a.ts": text(10) }))).toHaveLength(1);
});
