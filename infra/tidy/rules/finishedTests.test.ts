import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { finishedTests } from "./finishedTests.ts";

const check = (source: string) => finishedTests.check(treeOf({ "apps/api/src/main.test.ts": source }));
const SENTENCE = "a revoked key is refused everywhere";

test.each([
  `test("${SENTENCE}", () => {});`,
  `test.each([1])("${SENTENCE}: %s", () => {});`,
  `test.runIf(process.platform === "linux")("${SENTENCE}", () => {});`,
  "const { only } = options; list.skip(1);",
])("tests that run pass: %s", async (source) => {
  expect(await check(source)).toEqual([]);
});

test.each([
  [`test.skip("${SENTENCE}", () => {});`, "test.skip"],
  [`describe.only("${SENTENCE}", () => {});`, "describe.only"],
  [`it.todo("${SENTENCE}");`, "it.todo"],
  [`test.skip.each([1])("${SENTENCE}", () => {});`, "test.skip"],
  ['test("revokes", () => {});', '"revokes" is no sentence that states a guarantee'],
])("tests that are switched off, or guarantee nothing, are refused: %s", async (source, message) => {
  expect(await check(`\n${source}`)).toEqual([{ path: "apps/api/src/main.test.ts", line: 2, message }]);
});
