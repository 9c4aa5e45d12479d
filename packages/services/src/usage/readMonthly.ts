import type { Monthly, monthlyInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq, inArray, or } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireMember, requireService } from "../permissions.ts";
import type { NamedEndpoint } from "./internal.ts";
import { namedEndpointColumns, readEndpointQuotas, readPayer } from "./internal.ts";
import { sumByEndpoint } from "./readMonthlyTotal.ts";

/**
 * For services: how often a project called some endpoints this month, and what is left of their free calls. The quota
 * belongs to the billing account, so its `used` may be more than this project's calls.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN; NOT_FOUND naming the endpoint
 */
export async function readMonthly({ ctx, input }: Verb<z.output<typeof monthlyInput>>): Promise<Monthly> {
  requireService(ctx);
  const project = await requireMember(ctx, input.projectId, [], { orAdmin: true });
  const payer = await readPayer(ctx, project);
  const wanted = await findEndpoints(ctx, input.endpoints);
  const sums = new Map((await sumByEndpoint(ctx, project.id, payer.month)).map((row) => [row.endpoint_id, row]));
  const quotas = await readEndpointQuotas(ctx, payer, wanted);
  return { items: quotas.map((quota) => ({ ...quota, calls: Number(sums.get(quota.endpointId)?.calls ?? 0) })) };
}

/** In the order in which they were asked for. */
async function findEndpoints(ctx: ServiceContext, wanted: readonly string[]): Promise<NamedEndpoint[]> {
  const { apis, endpoints } = schema;
  const byName = wanted.filter((each) => each.includes("/")).map((each) => each.split("/", 2));
  const byId = wanted.filter((each) => !each.includes("/"));
  const rows = await ctx.db
    .select(namedEndpointColumns)
    .from(endpoints)
    .innerJoin(apis, eq(apis.id, endpoints.apiId))
    .where(
      or(
        byId.length === 0 ? undefined : inArray(endpoints.id, byId),
        ...byName.map(([api = "", endpoint = ""]) => and(eq(apis.name, api), eq(endpoints.name, endpoint))),
      ),
    );
  return wanted.map((each, index) => {
    const found = rows.find((row) => row.id === each || `${row.api}/${row.endpoint}` === each);
    if (found !== undefined) return found;
    throw notFound("endpoint", { issues: [{ path: `endpoints.${index}`, message: `There is no endpoint ${each}` }] });
  });
}
