import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { publishApiInput, updateApiInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { z } from "zod";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import {
  deprecateApi,
  getApi,
  indexApis,
  listApis,
  listCategories,
  listPricing,
  loadCatalogueChanges,
  priceAt,
  publishApi,
  rankApis,
  readCatalogueVersion,
  readPublicApi,
  removeApi,
  searchApis,
  updateApi,
} from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const system = () => fixture.as(SYSTEM);
const newName = () => `api-${newId("api").slice(4, 12).toLowerCase()}`;
const operation = { responses: { "200": { description: "OK" } } };
const openapi = {
  openapi: "3.1.0",
  info: { title: "Weather", version: "1" },
  paths: {
    "/now": { get: operation, post: operation },
    "/history": { get: operation },
    "/export": { get: operation },
  },
};
type Publication = z.input<typeof publishApiInput>;
function publication(name: string, more: Partial<Publication> = {}): Publication {
  return {
    name,
    displayName: "Weather",
    description: "Tells the weather.",
    category: "Weather",
    openapi,
    endpoints: [
      { name: "now", method: "GET", path: "/now", priceMicros: "1000" },
      { name: "history", method: "GET", path: "/history", priceMicros: "0", freePerMonth: 5 },
    ],
    ...more,
  };
}
const publish = (name: string, more: Partial<Publication> = {}) =>
  publishApi({ ctx: system(), input: publishApiInput.parse(publication(name, more)) });
const update = (input: z.input<typeof updateApiInput>) =>
  updateApi({ ctx: system(), input: updateApiInput.parse(input) });
async function eventsOf(name: string): Promise<string[]> {
  const rows = await system().db.select().from(schema.outbox).orderBy(schema.outbox.createdAt);
  return rows.filter((row) => row.payload["name"] === name).map((row) => row.name);
}
async function failure(work: Promise<unknown>): Promise<{ code: string; reason: string; paths: string[] }> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    return { code: error.code, reason: error.reason, paths: error.issues.map((issue) => issue.path) };
  }
  throw new Error("Nothing was thrown");
}

/** All of it, as a gateway loads it that knows nothing yet. */
const loadCatalogue = async () => (await loadCatalogueChanges({ ctx: system(), input: { known: new Map() } })).changed;

test("publishing the same again changes nothing and announces nothing, also from many places at once", async () => {
  const name = newName();
  const [first, ...others] = await Promise.all(Array.from({ length: 6 }, () => publish(name)));
  for (const other of others) expect(other).toEqual(first);
  fixture.clock.advanceMs(1_000);
  const version = await readCatalogueVersion({ ctx: system() });
  expect(await publish(name)).toEqual(first);
  expect(await readCatalogueVersion({ ctx: system() })).toBe(version);
  expect(await eventsOf(name)).toEqual(["catalog.published"]);
});

test("an endpoint that is left out is retired with its id and price, and comes back as the same one", async () => {
  const name = newName();
  const before = await publish(name);
  const [now, history] = publication(name).endpoints;
  if (now === undefined || history === undefined) throw new Error("Two endpoints are published");
  const without = await publish(name, { endpoints: [now] });
  expect(without.endpoints.map((each) => [each.name, each.retiredAt !== null])).toEqual([
    ["history", true],
    ["now", false],
  ]);
  const again = await publish(name, { endpoints: [now, history] });
  expect(again.endpoints.map(({ id, retiredAt }) => [id, retiredAt])).toEqual(
    before.endpoints.map(({ id }) => [id, null]),
  );
  expect(await eventsOf(name)).toEqual(["catalog.published", "catalog.updated", "catalog.updated"]);
});

test("a price is a version: the old one counts until the new one begins, and the gateway holds both", async () => {
  const name = newName();
  await publish(name);
  const announcedAt = fixture.clock.now();
  const effectiveFrom = new Date(fixture.clock.nowMs() + 60_000);
  const updated = await update({ name, effectiveFrom, endpoints: [{ name: "now", priceMicros: "2000" }] });
  const now = updated.endpoints.find((each) => each.name === "now");
  expect(now).toMatchObject({ priceMicros: 1_000n, nextPrices: [{ effectiveFrom, priceMicros: 2_000n }] });
  const catalogue = await loadCatalogue();
  const held = catalogue.find((api) => api.name === name)?.endpoints.find((each) => each.name === "now");
  expect(priceAt(held?.prices ?? [], announcedAt)).toBe(1_000n);
  expect(priceAt(held?.prices ?? [], new Date(effectiveFrom.getTime() - 1))).toBe(1_000n);
  expect(priceAt(held?.prices ?? [], effectiveFrom)).toBe(2_000n);
  fixture.clock.advanceMs(60_000);
  const later = (await getApi({ ctx: system(), input: { name } })).endpoints.find((each) => each.name === "now");
  expect(later).toMatchObject({ priceMicros: 2_000n, nextPrices: [] });
  // Only what can still be asked for is loaded.
  const after = (await loadCatalogue()).find((api) => api.name === name);
  expect(after?.endpoints.map((each) => each.prices.length)).toEqual([1, 1]);
});

test("a gateway that knows the catalogue is told of what changed alone", async () => {
  const names = [newName(), newName(), newName()];
  const [first, second, third] = await Promise.all(names.map((name) => publish(name)));
  if (first === undefined || second === undefined || third === undefined) throw new Error("Three were published");
  const known = new Map<string, number>();
  const changes = async () => {
    const { changed, gone, version } = await loadCatalogueChanges({ ctx: system(), input: { known } });
    for (const id of gone) known.delete(id);
    for (const api of changed) known.set(api.id, api.revision);
    expect(version).toBe(await readCatalogueVersion({ ctx: system() }));
    return { changed: changed.map((api) => [api.id, api.status, api.endpoints.length]), gone };
  };
  expect((await changes()).changed).toEqual(expect.arrayContaining([[first.id, "published", 2]]));
  expect(await changes()).toEqual({ changed: [], gone: [] });
  await update({ name: second.name, endpoints: [{ name: "now", priceMicros: "3000" }] });
  await removeApi({ ctx: system(), input: { name: third.name } });
  const byId = ([a]: unknown[], [b]: unknown[]) => String(a).localeCompare(String(b));
  expect((await changes()).changed.toSorted(byId)).toEqual(
    [
      [second.id, "published", 2],
      [third.id, "removed", 2],
    ].toSorted(byId),
  );
  expect(await changes()).toEqual({ changed: [], gone: [] });
  known.set("api_of_yesterday", 1);
  expect(await changes()).toEqual({ changed: [], gone: ["api_of_yesterday"] });
});

test("an announced price is taken back by the present one for the same instant", async () => {
  const name = newName();
  await publish(name);
  const effectiveFrom = new Date(fixture.clock.nowMs() + 60_000);
  const announce = (priceMicros: string) => update({ name, effectiveFrom, endpoints: [{ name: "now", priceMicros }] });
  await announce("2000");
  await announce("1000");
  fixture.clock.advanceMs(60_001);
  const [api] = (await loadCatalogue()).filter((each) => each.name === name);
  const now = api?.endpoints.find((each) => each.name === "now");
  expect(priceAt(now?.prices ?? [], fixture.clock.now())).toBe(1_000n);
});

test("each field of an API changes by its own name, and nothing else does", async () => {
  const name = newName();
  let before = await publish(name, { icon: "https://icons.test/a.svg", examples: [{ title: "a" }] });
  const changes = {
    displayName: "Other",
    description: "Other.",
    category: "other",
    icon: "https://icons.test/b.svg",
    examples: [{ title: "b" }],
    upstreamUrls: ["https://upstream.test"],
    deleteDataUrl: "https://upstream.test/delete",
  } as const;
  for (const [field, value] of Object.entries(changes)) {
    fixture.clock.advanceMs(1);
    const after = await update({ name, [field]: value });
    expect(after).toEqual({ ...before, [field]: value, updatedAt: fixture.clock.now() });
    before = after;
  }
  expect((await update({ name, icon: null })).icon).toBeNull();
});

test("a price cannot begin in the past", async () => {
  const name = newName();
  await publish(name);
  const effectiveFrom = new Date(fixture.clock.nowMs() - 1);
  const refused = await failure(update({ name, effectiveFrom, endpoints: [{ name: "now", priceMicros: "1" }] }));
  expect(refused).toMatchObject({ code: "BAD_REQUEST", paths: ["effectiveFrom"] });
});

test("every change moves the version of the catalogue, also when the clock stands still", async () => {
  const name = newName();
  const versions = new Set<string>();
  const note = async () => versions.add(await readCatalogueVersion({ ctx: system() }));
  await note();
  await publish(name);
  await note();
  await update({ name, endpoints: [{ name: "now", priceMicros: "7" }] });
  await note();
  await update({ name, endpoints: [{ name: "history", freePerMonth: 6 }] });
  await note();
  await update({ name, displayName: "Other" });
  await note();
  await deprecateApi({ ctx: system(), input: { name, sunsetAt: new Date(fixture.clock.nowMs() + 1_000) } });
  await note();
  await removeApi({ ctx: system(), input: { name } });
  await note();
  expect(versions.size).toBe(7);
});

test("an update changes what it names, adds complete endpoints and refuses incomplete ones by their field", async () => {
  const name = newName();
  const before = await publish(name);
  const updated = await update({
    name,
    description: "Other words.",
    endpoints: [
      { name: "now", timeoutMs: 5_000 },
      { name: "export", method: "get", path: "/export", priceMicros: "3", unit: "row", maxUnits: 100 },
    ],
  });
  expect(updated.description).toBe("Other words.");
  expect(updated.displayName).toBe(before.displayName);
  const byName = new Map(updated.endpoints.map((each) => [each.name, each]));
  expect(byName.get("now")).toMatchObject({ timeoutMs: 5_000, priceMicros: 1_000n });
  expect(byName.get("history")).toEqual(before.endpoints.find((each) => each.name === "history"));
  expect(byName.get("export")).toMatchObject({ method: "GET", unit: "row", maxUnits: 100 });
  expect(await failure(update({ name, endpoints: [{ name: "new", method: "GET", path: "/now" }] }))).toMatchObject({
    code: "BAD_REQUEST",
    paths: ["endpoints.0.priceMicros"],
  });
  expect(await failure(update({ name, endpoints: [{ name: "now", path: "/nowhere" }] }))).toMatchObject({
    code: "BAD_REQUEST",
  });
  await update({ name, description: "Other words." });
  expect(await eventsOf(name)).toEqual(["catalog.published", "catalog.updated"]);
});

test("a document that is wrong, refers elsewhere or lacks an endpoint is refused by its field, and nothing is fetched", async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const withDocument = (document: Publication["openapi"]) => failure(publish(newName(), { openapi: document }));
  try {
    expect(await withDocument({ ...openapi, paths: { "/now": { $ref: `http://127.0.0.1:${port}/x` } } })).toMatchObject(
      {
        reason: "openapi_invalid",
        paths: ["openapi.paths./now.$ref"],
      },
    );
    expect(await withDocument({ ...openapi, components: { schemas: { A: { $ref: "/etc/passwd" } } } })).toMatchObject({
      reason: "openapi_invalid",
    });
    expect(await withDocument({ openapi: "3.1.0", paths: {} })).toMatchObject({ reason: "openapi_invalid" });
    expect(await withDocument({ swagger: "2.0" })).toMatchObject({ paths: ["openapi.openapi"] });
    expect(await withDocument({ ...openapi, paths: { "/now": { get: operation } } })).toMatchObject({
      code: "BAD_REQUEST",
      paths: ["endpoints.1.path"],
    });
    expect(await withDocument({ ...openapi, paths: { ...openapi.paths, "/now": { post: operation } } })).toMatchObject({
      paths: ["endpoints.0.method"],
    });
    expect(requests).toBe(0);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("fields that cannot be are refused before anything is read", () => {
  const pathsOf = (more: Partial<Publication>) => {
    const parsed = publishApiInput.safeParse(publication("weather", more));
    return parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join("."));
  };
  const endpoint = { name: "now", method: "GET", path: "/now", priceMicros: "1" };
  expect(pathsOf({})).toEqual([]);
  expect(pathsOf({ name: "Weather" })).toEqual(["name"]);
  expect(pathsOf({ name: "-weather" })).toEqual(["name"]);
  expect(pathsOf({ endpoints: [] })).toEqual(["endpoints"]);
  expect(pathsOf({ endpoints: [endpoint, endpoint] })).toEqual(["endpoints.1.name"]);
  expect(pathsOf({ endpoints: [{ ...endpoint, priceMicros: "-1" }] })).toEqual(["endpoints.0.priceMicros"]);
  expect(pathsOf({ endpoints: [{ ...endpoint, priceMicros: "1.5" }] })).toEqual(["endpoints.0.priceMicros"]);
  expect(pathsOf({ endpoints: [{ ...endpoint, unit: "byte" }] })).toEqual(["endpoints.0.maxUnits"]);
  expect(pathsOf({ endpoints: [{ ...endpoint, maxUnits: 2 }] })).toEqual(["endpoints.0.maxUnits"]);
  expect(pathsOf({ endpoints: [{ ...endpoint, priceMicros: "1000000000001" }] })).toEqual(["endpoints.0.priceMicros"]);
  expect(pathsOf({ endpoints: [{ ...endpoint, freePerMonth: -1 }] })).toEqual(["endpoints.0.freePerMonth"]);
  expect(pathsOf({ examples: [{ text: "half \ud83d of a pair" }] })).toEqual(["examples.0"]);
  expect(pathsOf({ examples: [{ text: "NUL \0" }] })).toEqual(["examples.0"]);
  expect(pathsOf({ examples: [{ text: "a whole 😀 and a spelled-out \\ud83d" }] })).toEqual([]);
  expect(pathsOf({ upstreamUrls: ["ftp://example.test"] })).toEqual(["upstreamUrls.0"]);
});

test("a removed API is gone for the public, known as removed to gateways, and can be published again", async () => {
  const name = newName();
  const { id } = await publish(name);
  await removeApi({ ctx: system(), input: { name } });
  await removeApi({ ctx: system(), input: { name } });
  expect(await failure(readPublicApi({ ctx: fixture.as(), input: { name } }))).toMatchObject({ code: "GONE" });
  expect(await failure(update({ name, displayName: "x" }))).toMatchObject({ code: "GONE" });
  const held = (await loadCatalogue()).find((api) => api.name === name);
  expect(held?.status).toBe("removed");
  expect((await publish(name)).id).toBe(id);
  expect((await readPublicApi({ ctx: fixture.as(), input: { name } })).status).toBe("published");
  expect(await eventsOf(name)).toEqual(["catalog.published", "catalog.removed", "catalog.published"]);
});

test("deprecation is announced once for each date, survives publishing again and does not suit a draft", async () => {
  const name = newName();
  await publish(name, { status: "draft" });
  const sunsetAt = new Date(fixture.clock.nowMs() + 86_400_000);
  const deprecate = () => deprecateApi({ ctx: system(), input: { name, sunsetAt } });
  expect(await failure(deprecate())).toMatchObject({ code: "CONFLICT", reason: "api_not_published" });
  await publish(name);
  await deprecate();
  expect(await deprecate()).toMatchObject({ status: "deprecated", sunsetAt });
  expect((await publish(name)).status).toBe("deprecated");
  expect(await failure(publish(name, { status: "draft" }))).toMatchObject({ reason: "api_already_published" });
  const past = deprecateApi({ ctx: system(), input: { name, sunsetAt: new Date(0) } });
  expect(await failure(past)).toMatchObject({ code: "BAD_REQUEST", paths: ["sunsetAt"] });
  expect(await eventsOf(name)).toEqual(["catalog.published", "catalog.deprecated"]);
});

test("a draft is for its operator alone: not public, not listed, not in a gateway", async () => {
  const name = newName();
  await publish(name, { status: "draft", category: "secret" });
  const ctx = fixture.as();
  expect(await failure(readPublicApi({ ctx, input: { name } }))).toMatchObject({ code: "NOT_FOUND" });
  const all = await indexApis({ ctx, input: { limit: 200 } });
  expect(all.items.map((api) => api.name)).not.toContain(name);
  expect((await listCategories({ ctx })).items.map((each) => each.category)).not.toContain("secret");
  expect((await listPricing({ ctx, input: { limit: 200 } })).items.map((each) => each.name)).not.toContain(name);
  expect((await loadCatalogue()).map((api) => api.name)).not.toContain(name);
  const drafts = await listApis({ ctx: fixture.as(OPERATOR), input: { limit: 200, status: "draft" } });
  expect(drafts.items.map((api) => api.name)).toContain(name);
  expect(await eventsOf(name)).toEqual([]);
});

test("only operators and services change the catalogue or see all of it", async () => {
  const name = newName();
  await publish(name);
  for (const [actor, code] of [
    [undefined, "UNAUTHORIZED"],
    [customerActor(newId("customer")), "FORBIDDEN"],
  ] as const) {
    const ctx = fixture.as(actor);
    const attempts = [
      () => publishApi({ ctx, input: publishApiInput.parse(publication(newName())) }),
      () => updateApi({ ctx, input: { name, displayName: "x" } }),
      () => deprecateApi({ ctx, input: { name, sunsetAt: new Date(fixture.clock.nowMs() + 1) } }),
      () => removeApi({ ctx, input: { name } }),
      () => getApi({ ctx, input: { name } }),
      () => listApis({ ctx, input: { limit: 1 } }),
      () => rankApis({ ctx }),
    ];
    for (const attempt of attempts) expect(await failure(attempt())).toMatchObject({ code });
  }
});

test("search finds the best fit first, and the popular one of equals", async () => {
  const mark = newId("api").slice(4, 10).toLowerCase();
  const [exact, title, described, other] = [`${mark}`, newName(), newName(), newName()];
  await publish(described, { description: `Has ${mark} and 100% rain_fall somewhere.` });
  await publish(title, { displayName: `The ${mark} service`, category: "music" });
  await publish(exact);
  await publish(other, { displayName: `The ${mark} service` });
  const ctx = fixture.as();
  const names = async (term: string, categories?: string[]) => {
    const input = { term, limit: 50, ...(categories === undefined ? {} : { categories }) };
    return (await searchApis({ ctx, input })).items.map((api) => api.name);
  };
  expect((await names(mark)).at(0)).toBe(exact);
  expect((await names(mark)).at(-1)).toBe(described);
  expect(await names(`${mark} rain`)).toEqual([described]);
  expect(await names(`${mark} 100%`)).toEqual([described]);
  expect(await names(`${mark} 100_`)).toEqual([described]);
  expect(await names(mark, ["music"])).toEqual([title]);
  expect(await names(mark, [])).toEqual([]);
  const { billingAccountId, id: projectId } = await insertProject(fixture);
  const endpointId = (await getApi({ ctx: system(), input: { name: other } })).endpoints[0]?.id ?? "";
  const call = { billingAccountId, projectId, endpointId, at: fixture.clock.now(), chargedMicros: micros(0) };
  await makeCalls(fixture, [call, call]);
  const version = await readCatalogueVersion({ ctx: system() });
  expect((await rankApis({ ctx: system() })).changed).toBeGreaterThan(0);
  expect(await rankApis({ ctx: system() })).toEqual({ changed: 0 });
  expect(await readCatalogueVersion({ ctx: system() })).toBe(version);
  expect((await names(mark)).slice(1, 3)).toEqual([other, title]);
});

test("a public API comes with its live endpoints and code that calls the gateway", async () => {
  const name = newName();
  await publish(name);
  const api = await readPublicApi({ ctx: fixture.as(), input: { name } });
  const now = api.endpoints.find((each) => each.name === "now");
  expect(now?.url).toBe(`https://gateway.example.test/v1/${name}/now`);
  expect(now?.curl).toContain(now?.url);
  expect(now?.typescript).toContain(now?.url);
  expect(api).not.toHaveProperty("upstreamUrls");
  expect(api).not.toHaveProperty("deleteDataUrl");
});

test("each change is audited under who made it", async () => {
  const name = newName();
  const { id } = await publish(name);
  await update({ name, displayName: "Other" });
  await removeApi({ ctx: system(), input: { name } });
  const rows = await system().db.select().from(schema.auditLog).where(eq(schema.auditLog.subject, id));
  expect(rows.map((row) => row.action).sort()).toEqual(["catalog.publish", "catalog.remove", "catalog.update"]);
  expect(new Set(rows.map((row) => row.actor))).toEqual(new Set(["system:test"]));
});
