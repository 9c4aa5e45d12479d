import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { domainNames } from "./domainNames.ts";
import { planDomain } from "./planDomain.ts";

const readFile = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), "utf8");
const wired = (file: string, domain = "gadgets", text = readFile(file)): string => {
  const change = planDomain(domainNames(domain)).wiring[file];
  if (change === undefined) throw new Error(`${file} is not wired`);
  return change(text);
};

test.each([
  ["packages/contracts/src/index.ts", 'export * from "./gadgets.ts";'],
  ["packages/contracts/src/events.ts", "  gadgetsCreated,"],
  ["packages/contracts/src/events.ts", 'import { gadgetsCreated } from "./gadgets.ts";'],
  ["packages/db/src/schema/index.ts", 'export * from "./gadgets.ts";'],
  ["packages/routers/src/appRouter.ts", "  gadgets: gadgetsRouter,"],
  ["packages/routers/src/appRouter.ts", 'import { gadgetsRouter } from "./gadgets.ts";'],
  ["packages/kernel/src/ids.ts", '  gadget: "gdg",'],
  ["infra/tidy/domains.ts", '  "gadgets",'],
])("%s gets its line once and keeps all others", (file, line) => {
  const before = readFile(file).split("\n");
  const after = wired(file).split("\n");
  expect(after.filter((each) => each === line)).toHaveLength(1);
  expect(before.filter((each) => !after.includes(each))).toEqual([]);
});

test("a line stands in order among its like", () => {
  const lines = ['export * from "./billing.ts";', 'export * from "./keys.ts";', ""];
  const file = "packages/contracts/src/index.ts";
  expect(wired(file, "gadgets", lines.join("\n")).split("\n")[1]).toBe('export * from "./gadgets.ts";');
  expect(wired(file, "zones", lines.join("\n")).split("\n")[2]).toBe('export * from "./zones.ts";');
});

test("a domain that is wired already, and an id prefix that is taken, are refused", () => {
  const file = "packages/contracts/src/index.ts";
  expect(() => wired(file, "gadgets", wired(file))).toThrow("is there already");
  const { wiring } = planDomain(domainNames("gadgets", { prefix: "cus" }));
  expect(() => wiring["packages/kernel/src/ids.ts"]?.(readFile("packages/kernel/src/ids.ts"))).toThrow(
    '"cus" is taken',
  );
});
