import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { documentLinks } from "./documentLinks.ts";

const FILES = {
  "README.md": "",
  "docs/outages.md": "# Outages\n\n## Redis, and what it `holds`\n",
  "packages/db/src/index.ts": "",
};
const check = (text: string) => documentLinks.check(treeOf({ ...FILES, "docs/guide.md": text }));

test.each([
  "[outages](outages.md)",
  "[Redis](outages.md#redis-and-what-it-holds)",
  "[code](../packages/db/src/index.ts) and [all of it](../packages/db)",
  "# Here\n\n[above](#here)",
  "[elsewhere](https://example.com/nothing)",
  "```\n[not](a-link.md)\n```",
])("links that lead somewhere pass: %s", async (text) => {
  expect(await check(text)).toEqual([]);
});

test.each(["[gone](gone.md)", "[gone](outages.md#gone)", "[gone](../packages/db/src/gone.ts)", "![gone](gone.png)"])(
  "a link that leads nowhere is refused: %s",
  async (text) => {
    expect(await check(`one\n${text}`)).toEqual([{ path: "docs/guide.md", line: 2, message: expect.any(String) }]);
  },
);
