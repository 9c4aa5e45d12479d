import { publishApiInput, updateApiInput } from "@tollgate/contracts";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { z } from "zod";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { readRanks } from "../usage/index.ts";
import { listCategories, listPricing, publishApi, rankApis, removeApi, updateApi } from "./index.ts";

/** What anyone may read of the whole catalogue: prices, categories, ranks. */
let fixture: ServiceFixture;
beforeEach(async () => {
  await fixture?.close();
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const system = () => fixture.as(SYSTEM);
const operation = { responses: { "200": { description: "OK" } } };

async function publish(name: string, more: Partial<z.input<typeof publishApiInput>> = {}) {
  fixture.clock.advanceMs(1_000);
  const input = publishApiInput.parse({
    name,
    displayName: `The ${name}`,
    description: "Does something.",
    category: "Tools",
    openapi: {
      openapi: "3.1.0",
      info: { title: name, version: "1" },
      paths: { "/a": { get: operation, post: operation } },
    },
    endpoints: [{ name: "a", method: "GET", path: "/a", priceMicros: "1000" }],
    ...more,
  });
  return publishApi({ ctx: system(), input });
}

test("pricing says what every live endpoint costs now and from when that changes, the newest API first", async () => {
  await publish("first");
  await publish("second", {
    endpoints: [
      { name: "a", method: "GET", path: "/a", priceMicros: "0" },
      { name: "b", method: "POST", path: "/a", priceMicros: "250", freePerMonth: 7, unit: "word", maxUnits: 40 },
    ],
  });
  await publish("draft", { status: "draft" });
  await publish("gone");
  await removeApi({ ctx: system(), input: { name: "gone" } });
  const effectiveFrom = new Date(fixture.clock.nowMs() + 60_000);
  await updateApi({
    ctx: system(),
    input: updateApiInput.parse({
      name: "first",
      effectiveFrom: effectiveFrom.toISOString(),
      endpoints: [{ name: "a", priceMicros: "1500" }],
    }),
  });
  const ctx = fixture.as();
  const a = { name: "a", method: "GET", path: "/a", freePerMonth: 0, unit: "call", maxUnits: 1, nextPrices: [] };
  const first = { name: "first", displayName: "The first" };
  const second = {
    name: "second",
    displayName: "The second",
    endpoints: [
      { ...a, priceMicros: 0n },
      { ...a, name: "b", method: "POST", priceMicros: 250n, freePerMonth: 7, unit: "word", maxUnits: 40 },
    ],
  };
  const before = { ...a, priceMicros: 1_000n, nextPrices: [{ priceMicros: 1_500n, effectiveFrom }] };
  const page = await listPricing({ ctx, input: { limit: 1 } });
  expect(page.items).toEqual([second]);
  const rest = await listPricing({ ctx, input: { limit: 1, cursor: page.nextCursor ?? "" } });
  expect(rest).toEqual({ items: [{ ...first, endpoints: [before] }], nextCursor: null });
  fixture.clock.set(effectiveFrom);
  const all = await listPricing({ ctx, input: { limit: 200 } });
  expect(all.items).toEqual([second, { ...first, endpoints: [{ ...a, priceMicros: 1_500n }] }]);
});

test("an endpoint that was left out costs nothing any more: pricing does not show it", async () => {
  const endpoints = ["a", "b"].map((name) => ({
    name,
    method: name === "a" ? ("GET" as const) : ("POST" as const),
    path: "/a",
    priceMicros: "1",
  }));
  await publish("both", { endpoints });
  await publish("both", { endpoints: endpoints.slice(0, 1) });
  const { items } = await listPricing({ ctx: fixture.as(), input: { limit: 200 } });
  expect(items.map((api) => api.endpoints.map(({ name }) => name))).toEqual([["a"]]);
});

test("categories are those of published APIs with how many each has, by name", async () => {
  expect(await listCategories({ ctx: fixture.as() })).toEqual({ items: [] });
  await publish("one", { category: "Weather" });
  await publish("two", { category: "Maps" });
  await publish("three", { category: " weather" });
  await publish("draft", { category: "Secret", status: "draft" });
  await publish("gone", { category: "Maps" });
  await removeApi({ ctx: system(), input: { name: "gone" } });
  expect(await listCategories({ ctx: fixture.as() })).toEqual({
    items: [
      { category: "maps", apis: 1 },
      { category: "weather", apis: 2 },
    ],
  });
});

test("ranks go by the live calls of thirty days, and one giant sets the scale aside", async () => {
  const counts = { busy: 40, giant: 4_000, half: 20, idle: 0, little: 4, tested: 0, yesterday: 0 };
  const { billingAccountId, id: projectId } = await insertProject(fixture);
  const call = (endpointId: string) => ({ billingAccountId, projectId, endpointId, chargedMicros: micros(0) });
  const endpoints = new Map<string, string>();
  for (const name of Object.keys(counts)) endpoints.set(name, (await publish(name)).endpoints[0]?.id ?? "");
  const make = (name: string, calls: number, mode: "live" | "test" = "live") => {
    const one = { ...call(endpoints.get(name) ?? ""), at: fixture.clock.now(), mode };
    return makeCalls(
      fixture,
      Array.from({ length: calls }, () => one),
    );
  };
  await make("yesterday", 100);
  fixture.clock.advanceMs(31 * 86_400_000);
  for (const [name, calls] of Object.entries(counts)) if (calls > 0) await make(name, calls);
  await make("tested", 100, "test");
  await rankApis({ ctx: system() });
  const { apis, rankedAt } = await readRanks({ ctx: fixture.as() });
  expect(Object.fromEntries(apis.map(({ api, popularity }) => [api, popularity]))).toEqual({
    giant: 10,
    busy: 10,
    half: 5,
    little: 1,
    idle: 1,
    tested: 1,
    yesterday: 1,
  });
  expect(apis.map(({ api }) => api).slice(0, 3)).toEqual(["busy", "giant", "half"]);
  expect(rankedAt).toEqual(fixture.clock.now());
});

test("ranks name every published API however many there are, each with a popularity from 1 to 10", async () => {
  const many = 10_000;
  const { endpoints } = await publish("zebra");
  await publish("draft", { status: "draft" });
  await publish("gone");
  await removeApi({ ctx: system(), input: { name: "gone" } });
  const { sql } = system().database;
  await sql`
    insert into apis (id, name, display_name, description, category, status, openapi, revision, created_at, updated_at)
    select 'api_many' || n, 'many-' || n, 'Many ' || n, description, category, status, openapi, revision, created_at,
           updated_at
    from apis, generate_series(1, ${many}) as n where name = 'zebra'`;
  // Before the first ranking nothing is known to be called.
  const unranked = await readRanks({ ctx: fixture.as() });
  expect(unranked.rankedAt).toBeNull();
  expect(unranked.apis).toHaveLength(many + 1);
  expect(new Set(unranked.apis.map(({ popularity }) => popularity))).toEqual(new Set([1]));

  const { billingAccountId, id: projectId } = await insertProject(fixture);
  const call = { billingAccountId, projectId, endpointId: endpoints[0]?.id ?? "", chargedMicros: micros(0) };
  await makeCalls(fixture, [{ ...call, at: fixture.clock.now() }]);
  await rankApis({ ctx: system() });
  const ranked = await readRanks({ ctx: fixture.as() });
  expect(ranked.apis).toHaveLength(many + 1);
  expect(ranked.apis[0]).toEqual({ api: "zebra", displayName: "The zebra", popularity: 10 });
  expect(new Set(ranked.apis.slice(1).map(({ popularity }) => popularity))).toEqual(new Set([1]));
  const names = new Set(ranked.apis.map(({ api }) => api));
  expect([names.size, names.has("draft"), names.has("gone")]).toEqual([many + 1, false, false]);

  // Only one changes now, and that makes it the last: when it was is said all the same.
  fixture.clock.advanceMs(31 * 86_400_000);
  await rankApis({ ctx: system() });
  const again = await readRanks({ ctx: fixture.as() });
  expect(again.rankedAt).toEqual(fixture.clock.now());
  expect(again.apis.at(-1)).toMatchObject({ api: "zebra", popularity: 1 });
});
