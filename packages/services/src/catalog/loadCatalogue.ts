import type { DbContext } from "@tollgate/db";
import { schema, withTransaction } from "@tollgate/db";
import { asc, count, ne, sum } from "drizzle-orm";
import { loadEndpoints } from "./internal.ts";
import type { EndpointFacts } from "./planEndpoints.ts";

/**
 * The catalogue as a gateway holds it in memory: every API that was ever published, with its endpoints. Removed APIs and
 * retired endpoints are in it, so that a gateway can tell what is gone from what never was.
 */
export interface CatalogueEndpoint extends EndpointFacts {
  readonly apiId: string;
}

export interface CatalogueApi {
  readonly id: string;
  readonly name: string;
  readonly status: "published" | "deprecated" | "removed";
  readonly upstreamUrls: readonly string[];
  readonly deprecatedAt: Date | null;
  readonly sunsetAt: Date | null;
  readonly endpoints: readonly CatalogueEndpoint[];
}

export interface Catalogue {
  readonly version: string;
  readonly apis: readonly CatalogueApi[];
}

/**
 * Loads everything in one snapshot and four statements, however many APIs there are. `prices` of an endpoint has the
 * version in force and those to come, ascending: `priceAt` picks the one of an instant. The catalogue must be loaded
 * again when its version moves; prices that are announced begin without that.
 */
export async function loadCatalogue({ ctx }: { readonly ctx: DbContext }): Promise<Catalogue> {
  const { apis } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const version = await readCatalogueVersion({ ctx });
      const rows = await ctx.db
        .select({
          id: apis.id,
          name: apis.name,
          status: apis.status,
          upstreamUrls: apis.upstreamUrls,
          deprecatedAt: apis.deprecatedAt,
          sunsetAt: apis.sunsetAt,
        })
        .from(apis)
        .where(ne(apis.status, "draft"))
        .orderBy(asc(apis.name));
      const endpoints = await loadEndpoints(
        ctx,
        rows.map((row) => row.id),
      );
      return { version, apis: rows.flatMap((row) => toCatalogueApi(row, endpoints.get(row.id) ?? [])) };
    },
    { isIdempotent: true },
  );
}

/**
 * A text that changes whenever anything in the catalogue does: the number of APIs and of all their changes. It counts
 * rather than looks at times, which may stand still or commit out of order.
 */
export async function readCatalogueVersion({ ctx }: { readonly ctx: DbContext }): Promise<string> {
  const { apis } = schema;
  const [row] = await ctx.db.select({ apis: count(), revisions: sum(apis.revision) }).from(apis);
  return `${row?.apis ?? 0}.${row?.revisions ?? 0}`;
}

type CatalogueRow = Omit<CatalogueApi, "status" | "endpoints"> & { readonly status: CatalogueApi["status"] | "draft" };

function toCatalogueApi(row: CatalogueRow, endpoints: readonly CatalogueEndpoint[]): CatalogueApi[] {
  return row.status === "draft" ? [] : [{ ...row, status: row.status, endpoints }];
}
