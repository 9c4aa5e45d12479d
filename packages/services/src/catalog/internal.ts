import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Api, ApiSummary, Endpoint } from "@tollgate/contracts";
import { HTTP_METHODS } from "@tollgate/contracts";
import type { DbContext } from "@tollgate/db";
import { schema } from "@tollgate/db";
import { chunksOf, newId, notFound, TollgateError } from "@tollgate/kernel";
import { and, asc, eq, inArray, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { assertOpenapi } from "./assertOpenapi.ts";
import type { OpenapiDocument } from "./openapiDocument.ts";
import type { EndpointFacts, EndpointPlan, PriceVersion } from "./planEndpoints.ts";
import { priceAt } from "./planEndpoints.ts";

/** Reading and writing an API with its endpoints and prices. */
const { apis, endpointPrices, endpoints } = schema;

/** Far below the parameters that a statement may have. */
export const APIS_AT_ONCE = 5_000;

export type ApiRow = typeof apis.$inferSelect;

/** What a list shows: everything but the documents. */
export const summaryColumns = {
  id: apis.id,
  name: apis.name,
  displayName: apis.displayName,
  description: apis.description,
  category: apis.category,
  icon: apis.icon,
  status: apis.status,
  popularity: apis.popularity,
  sunsetAt: apis.sunsetAt,
  createdAt: apis.createdAt,
  updatedAt: apis.updatedAt,
};

/** Which APIs the public sees. */
export const isVisible = and(inArray(apis.status, ["published", "deprecated"]), eq(apis.isInternal, false));

/** The API of a name, locked when it is to be changed; undefined when there is none. */
export async function findApi(
  ctx: DbContext,
  name: string,
  options: { readonly lock?: boolean } = {},
): Promise<ApiRow | undefined> {
  const query = ctx.db.select().from(apis).where(eq(apis.name, name));
  const [row] = await (options.lock === true ? query.for("update") : query);
  return row;
}

/** @throws TollgateError BAD_REQUEST `openapi_invalid`, unless the API has this very document already */
export async function assertOpenapiOf(ctx: DbContext, name: string, document: OpenapiDocument): Promise<void> {
  const [row] = await ctx.db.select({ openapi: apis.openapi }).from(apis).where(eq(apis.name, name));
  if (row !== undefined && isDeepStrictEqual(row.openapi, document)) return;
  await assertOpenapi(document);
}

/** Fields as the audit log keeps them: of a document its digest, as it may have megabytes. */
export function auditable(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (!("openapi" in fields)) return { ...fields };
  const text = JSON.stringify(fields["openapi"]);
  const sha256 = createHash("sha256").update(text).digest("hex");
  return { ...fields, openapi: { sha256, bytes: Buffer.byteLength(text) } };
}

/** The API of a name, locked, that is not removed. @throws TollgateError NOT_FOUND, GONE */
export async function lockLiveApi(ctx: ServiceContext, name: string): Promise<ApiRow> {
  const row = await findApi(ctx, name, { lock: true });
  if (row === undefined) throw notFound("api");
  if (row.status === "removed") throw apiRemoved(name);
  return row;
}

export const apiRemoved = (name: string): TollgateError =>
  new TollgateError("GONE", `The API ${name} was removed`, { reason: "api_removed" });

/** The endpoints of some APIs with the price in force and those to come, in two statements for each few thousand APIs. */
export async function loadEndpoints(
  ctx: DbContext,
  apiIds: readonly string[],
): Promise<Map<string, (EndpointFacts & { readonly apiId: string })[]>> {
  const byApi = new Map<string, (EndpointFacts & { readonly apiId: string })[]>(apiIds.map((id) => [id, []]));
  for (const batch of chunksOf(apiIds, APIS_AT_ONCE)) {
    const rows = await ctx.db
      .select()
      .from(endpoints)
      .where(inArray(endpoints.apiId, batch))
      .orderBy(asc(endpoints.createdAt), asc(endpoints.name));
    const prices = await loadPrices(ctx, batch);
    for (const row of rows) byApi.get(row.apiId)?.push({ ...row, prices: prices.get(row.id) ?? [] });
  }
  return byApi;
}

/** A version is of the past when another one that has begun came after it. */
async function loadPrices(ctx: DbContext, apiIds: readonly string[]): Promise<Map<string, PriceVersion[]>> {
  const now = ctx.clock.now().toISOString();
  const rows = await ctx.db
    .select({
      endpointId: endpointPrices.endpointId,
      effectiveFrom: endpointPrices.effectiveFrom,
      priceMicros: endpointPrices.priceMicros,
    })
    .from(endpointPrices)
    .innerJoin(endpoints, eq(endpoints.id, endpointPrices.endpointId))
    .where(
      sql`${inArray(endpoints.apiId, [...apiIds])} and not exists (
        select 1 from endpoint_prices as later where later.endpoint_id = ${endpointPrices.endpointId}
        and later.effective_from > ${endpointPrices.effectiveFrom} and later.effective_from <= ${now}::timestamptz)`,
    )
    .orderBy(asc(endpointPrices.endpointId), asc(endpointPrices.effectiveFrom));
  const byEndpoint = new Map<string, PriceVersion[]>();
  for (const { endpointId, effectiveFrom, priceMicros } of rows) {
    const versions = byEndpoint.get(endpointId) ?? [];
    versions.push({ effectiveFrom, priceMicros });
    byEndpoint.set(endpointId, versions);
  }
  return byEndpoint;
}

/** Writes a plan. Prices are appended, never changed; two changes within a millisecond are one. */
export async function writeEndpoints(ctx: ServiceContext, apiId: string, plan: EndpointPlan): Promise<void> {
  const now = ctx.clock.now();
  const added = plan.add.map(({ columns, priceMicros }) => ({ id: newId("endpoint"), columns, priceMicros }));
  if (added.length > 0) {
    await ctx.db.insert(endpoints).values(added.map(({ id, columns }) => ({ id, apiId, ...columns, createdAt: now })));
  }
  for (const { id, columns } of plan.change) {
    await ctx.db
      .update(endpoints)
      .set({ ...columns, retiredAt: null })
      .where(eq(endpoints.id, id));
  }
  if (plan.retire.length > 0) {
    await ctx.db
      .update(endpoints)
      .set({ retiredAt: now })
      .where(inArray(endpoints.id, [...plan.retire]));
  }
  const prices = [
    ...added.map(({ id, priceMicros }) => ({ endpointId: id, priceMicros, effectiveFrom: now, createdAt: now })),
    ...plan.reprice.map(({ id, ...price }) => ({ endpointId: id, ...price, createdAt: now })),
  ];
  if (prices.length === 0) return;
  await ctx.db
    .insert(endpointPrices)
    .values(prices)
    .onConflictDoUpdate({
      target: [endpointPrices.endpointId, endpointPrices.effectiveFrom],
      set: { priceMicros: sql`excluded.price_micros` },
    });
}

export function toSummary(row: ApiSummary): ApiSummary {
  const { id, name, displayName, description, category, icon, status, popularity, sunsetAt, createdAt, updatedAt } =
    row;
  return { id, name, displayName, description, category, icon, status, popularity, sunsetAt, createdAt, updatedAt };
}

export function toEndpoint(facts: EndpointFacts, now: Date): Endpoint {
  const priceMicros = priceAt(facts.prices, now);
  if (priceMicros === undefined) throw new Error(`The endpoint ${facts.id} has no price`);
  const method = HTTP_METHODS.find((known) => known === facts.method);
  if (method === undefined) throw new Error(`The endpoint ${facts.id} has an unknown method`);
  return {
    id: facts.id,
    name: facts.name,
    method,
    path: facts.path,
    priceMicros,
    nextPrices: facts.prices.filter((version) => version.effectiveFrom.getTime() > now.getTime()),
    freePerMonth: facts.freePerMonth,
    unit: facts.unit,
    maxUnits: facts.unitsMax,
    meter: facts.meter,
    chargeOn4xx: facts.isChargedOn4xx,
    timeoutMs: facts.timeoutMs,
    bodyBytesMax: facts.bodyBytesMax,
    retiredAt: facts.retiredAt,
  };
}

/** The API as its operator sees it. @throws TollgateError NOT_FOUND */
export async function readApi(ctx: ServiceContext, name: string): Promise<Api> {
  const row = await findApi(ctx, name);
  if (row === undefined) throw notFound("api");
  const facts = (await loadEndpoints(ctx, [row.id])).get(row.id) ?? [];
  const now = ctx.clock.now();
  return {
    ...toSummary(row),
    openapi: row.openapi,
    examples: row.examples,
    upstreamUrls: row.upstreamUrls,
    deleteDataUrl: row.deleteDataUrl,
    deprecatedAt: row.deprecatedAt,
    endpoints: facts.map((endpoint) => toEndpoint(endpoint, now)),
  };
}
