import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { words } from "./words.ts";

const check = async (text: string, file = "docs/guide.md") => words.check(treeOf({ [file]: text }));
const join = (...parts: string[]): string => parts.join("");

test.each([
  "Data is under /var/lib/tollgate and /etc/tollgate, or wherever GATEWAY_SPOOL_DIR says.",
  "See https://example.com/home/ada/ and https://npmjs.com/package/zod.",
  "The key sk_live_ is only a prefix.",
  "revokes this session",
])("plain words about the product pass: %s", async (text) => {
  expect(await check(text)).toEqual([]);
});

test.each([
  join("in /ho", "me/ada/tollgate"),
  join("in /wo", "rk/checkout"),
  join("from https://regi", "stry.example.com/npm/"),
  join("-----BEGIN PRIV", "ATE KEY-----"),
  join("sk_li", "ve_4eC39HqLyjWDarjtT1zdp7dc"),
  join("gh", "p_0123456789abcdefghijklmnopqrstuvwxyz"),
  join("<<<<", "<<< HEAD"),
  join("Co-auth", "ored-by: somebody"),
])("what speaks of a machine or gives something away is refused: %s", async (text) => {
  expect(await check(`first line\n${text}\n`)).toEqual([
    { path: "docs/guide.md", line: 2, message: expect.any(String) },
  ]);
});

test.each([join("// TO", "DO later"), join('throw new Error("not imple', 'mented");'), join("// @ts-ig", "nore")])(
  "code that says it is unfinished is refused: %s",
  async (text) => {
    expect(await check(text, "apps/api/src/main.ts")).toHaveLength(1);
  },
);

test.each(["packages/kernel/src/utils.ts", "apps/api/src/helpers/text.ts", "packages/db/src/common.ts"])(
  "a name that says nothing is refused: %s",
  async (file) => {
    expect(await check("", file)).toEqual([{ path: file, message: expect.stringContaining("says nothing") }]);
  },
);
