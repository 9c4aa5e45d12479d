import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { ownTimeZone } from "./ownTimeZone.ts";

const found = async (source: string) => ownTimeZone.check(treeOf({ "apps/api/src/a.ts": source }));

test("what is in UTC or says its time zone passes", async () => {
  const source = `
    const at = new Date(Date.UTC(2026, 0, 1));
    const parts = [at.getUTCHours(), at.getTime(), new Date("2026-01-01"), new Date(0), map.getDate, new Day(2026, 1)];
    at.setUTCMonth(1);
    at.toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
    new Intl.DateTimeFormat("en", { timeZone });
  `;
  expect(await found(source)).toEqual([]);
});

test.each([
  ["at.getHours()", "getHours"],
  ["at.setDate(1)", "setDate"],
  ["at.getTimezoneOffset()", "getTimezoneOffset"],
  ["at.toDateString()", "toDateString"],
  ['at.toLocaleTimeString("en-GB", { timeStyle: "short" })', "toLocaleTimeString"],
  ['new Intl.DateTimeFormat("en")', "DateTimeFormat"],
  ["new Date(2026, 0, 31)", "new Date(…)"],
])("%s is refused", async (source, name) => {
  expect(await found(`\n${source};`)).toEqual([
    {
      path: "apps/api/src/a.ts",
      line: 2,
      message: `${name} depends on the machine's time zone: use the kernel's periods, or UTC`,
    },
  ]);
});
