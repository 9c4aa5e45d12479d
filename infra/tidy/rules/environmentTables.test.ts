import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { environmentTables } from "./environmentTables.ts";

const KERNEL = `
export const commonEnv = { DATABASE_URL: z.url(), LOG_LEVEL: z.enum(["info"]).default("info") };
export const sellerEnv = { SELLER_NAME: z.string().optional() };`;
const ENV = `
const tokens = z.string().default("").transform((text) => text.split(","));
const schema = z.object({
  ...commonEnv,
  API_PORT: z.coerce.number().max(65_535).default(40_00),
  CORS_ORIGINS: z.string().default("").transform((text) => text.split(",")),
  SERVICE_TOKENS: tokens,
  DEMO_KEY: z.string().optional(),
});`;
const ROWS = [
  "| `DATABASE_URL` | required | where |",
  "| `LOG_LEVEL` | `info` | how much |",
  "| `API_PORT` | `4000` | where it listens |",
  "| `CORS_ORIGINS` | empty | who may call |",
  "| `SERVICE_TOKENS` | empty | who may publish |",
  "| `DEMO_KEY` | optional | a key |",
];
const check = async (rows: readonly string[], env = ENV): Promise<string[]> => {
  const guide = ["# Operate", "### The control plane (apps/api)", "", ...rows, "### Another", "| `OTHER` | x | y |"];
  const files = {
    "packages/kernel/src/env.ts": KERNEL,
    "apps/api/src/env.ts": env,
    "docs/guides/operate.md": guide.join("\n"),
  };
  return (await environmentTables.check(treeOf(files))).map(({ message }) => message);
};

test("a table with every variable and its default passes", async () => {
  expect(await check(ROWS)).toEqual([]);
});

test("a missing variable, one too many and a wrong default are refused", async () => {
  expect(await check(ROWS.slice(1))).toEqual(["apps/api: DATABASE_URL is missing (required)"]);
  expect(await check([...ROWS, "| `GONE` | `1` | no longer |"])).toEqual(["apps/api does not read GONE"]);
  expect(await check(ROWS.map((row) => row.replace("4000", "80")))).toEqual(['apps/api: API_PORT is "4000", not "80"']);
});

test("a part of the common variables counts where it is spread, and nowhere else", async () => {
  const withSeller = ENV.replace("...commonEnv,", "...commonEnv, ...sellerEnv,");
  expect(await check(ROWS, withSeller)).toEqual(["apps/api: SELLER_NAME is missing (optional)"]);
  const row = "| `SELLER_NAME` | optional | who sells |";
  expect(await check([...ROWS, row], withSeller)).toEqual([]);
  expect(await check([...ROWS, row])).toEqual(["apps/api does not read SELLER_NAME"]);
});

test("a process without a table is refused", async () => {
  const files = {
    "apps/api/src/env.ts": ENV,
    "packages/kernel/src/env.ts": KERNEL,
    "docs/guides/operate.md": "# Operate",
  };
  expect(await environmentTables.check(treeOf(files))).toHaveLength(1);
});
