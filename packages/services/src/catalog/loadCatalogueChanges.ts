import type { DbContext } from "@tollgate/db";
import { schema, withTransaction } from "@tollgate/db";
import { chunksOf } from "@tollgate/kernel";
import { asc, count, inArray, ne, sum } from "drizzle-orm";
import { APIS_AT_ONCE, loadEndpoints } from "./internal.ts";
import type { EndpointFacts } from "./planEndpoints.ts";

export interface CatalogueEndpoint extends EndpointFacts {
  readonly apiId: string;
}

/**
 * An API as a gateway holds it in memory. Every one that was ever published is held, with its endpoints; removed APIs and
 * retired endpoints, too, so that a gateway can tell what is gone from what never was.
 */
export interface CatalogueApi {
  readonly id: string;
  readonly name: string;
  readonly status: "published" | "deprecated" | "removed";
  readonly upstreamUrls: readonly string[];
  readonly deprecatedAt: Date | null;
  readonly sunsetAt: Date | null;
  /** Counts the changes of the API, of its endpoints, prices and credentials. */
  readonly revision: number;
  readonly endpoints: readonly CatalogueEndpoint[];
}

export interface CatalogueChanges {
  /** Of the catalogue as a whole: {@link readCatalogueVersion}. */
  readonly version: string;
  /** By name, the APIs whose revision is not the one that is known. */
  readonly changed: readonly CatalogueApi[];
  /** The ids of known ones that are there no more. */
  readonly gone: readonly string[];
}

/**
 * Loads what is not known yet, in one snapshot: which revisions there are is read from an index, and only what is of another
 * one is read whole, so that a change costs the same among ten APIs and among ten thousand. `prices` of an endpoint has the
 * version in force and those to come, ascending: `priceAt` picks the one of an instant. To be asked again when the
 * catalogue's version moves; prices that are announced begin without that.
 * @param input.known revisions by the APIs' ids
 */
export async function loadCatalogueChanges({
  ctx,
  input,
}: {
  readonly ctx: DbContext;
  readonly input: { readonly known: ReadonlyMap<string, number> };
}): Promise<CatalogueChanges> {
  const { apis } = schema;
  const { known } = input;
  return withTransaction(
    ctx,
    async (ctx) => {
      const version = await readCatalogueVersion({ ctx });
      const revisions = await ctx.db
        .select({ id: apis.id, revision: apis.revision })
        .from(apis)
        .where(ne(apis.status, "draft"));
      const present = new Set(revisions.map(({ id }) => id));
      const ids = revisions.flatMap(({ id, revision }) => (known.get(id) === revision ? [] : [id]));
      return {
        version,
        changed: await loadApis(ctx, ids),
        gone: [...known.keys()].filter((id) => !present.has(id)),
      };
    },
    { isIdempotent: true },
  );
}

async function loadApis(ctx: DbContext, ids: readonly string[]): Promise<CatalogueApi[]> {
  const { apis } = schema;
  const loaded: CatalogueApi[] = [];
  for (const some of chunksOf(ids, APIS_AT_ONCE)) {
    const rows = await ctx.db
      .select({
        id: apis.id,
        name: apis.name,
        status: apis.status,
        upstreamUrls: apis.upstreamUrls,
        deprecatedAt: apis.deprecatedAt,
        sunsetAt: apis.sunsetAt,
        revision: apis.revision,
      })
      .from(apis)
      .where(inArray(apis.id, some))
      .orderBy(asc(apis.name));
    const endpoints = await loadEndpoints(ctx, some);
    loaded.push(...rows.flatMap((row) => toCatalogueApi(row, endpoints.get(row.id) ?? [])));
  }
  return loaded;
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
