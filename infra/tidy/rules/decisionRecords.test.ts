import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { decisionRecords } from "./decisionRecords.ts";

const record = (number: number, body = "Text."): string =>
  `# ${number}. A title\n\n## Context\n\n${body}\n\n## Decision\n\nText.\n\n## Consequences\n\nText.\n`;
const check = async (files: Record<string, string>): Promise<string[]> =>
  (await decisionRecords.check(treeOf(files))).map(({ path, message }) => `${path} ${message}`);

test("records in order with their three sections pass", async () => {
  expect(
    await check({ "docs/decisions/0001-first.md": record(1), "docs/decisions/0002-second-one.md": record(2) }),
  ).toEqual([]);
});

test.each<[string, Record<string, string>, string]>([
  ["a gap in the numbers", { "docs/decisions/0002-second.md": record(2) }, "is number 2 where 1 comes next"],
  ["a name without a number", { "docs/decisions/first.md": record(1) }, "must be called"],
  ["a title with another number", { "docs/decisions/0001-first.md": record(7) }, "must begin with"],
  ["an empty section", { "docs/decisions/0001-first.md": record(1, "") }, "says nothing under Context"],
  [
    "a missing section",
    { "docs/decisions/0001-first.md": "# 1. A title\n\n## Context\n\nText.\n" },
    "must have the sections",
  ],
])("%s is refused", async (_, files, message) => {
  expect(await check(files)).toEqual([expect.stringContaining(message)]);
});
