import { isDeepStrictEqual } from "node:util";
import type { Api, EndpointInput, UpdateApiInput } from "@tollgate/contracts";
import { catalogUpdated, endpointInput } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { FieldIssue } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { assertEndpointsInOpenapi } from "./assertOpenapi.ts";
import { assertOpenapiOf, auditable, loadEndpoints, lockLiveApi, readApi, writeEndpoints } from "./internal.ts";
import type { EndpointFacts } from "./planEndpoints.ts";
import { isEmptyPlan, planEndpoints, priceAt } from "./planEndpoints.ts";

/**
 * Changes some fields of an API, some fields of its endpoints, or adds endpoints. A new price begins at `effectiveFrom`;
 * until then calls cost what they did. What changes nothing announces nothing.
 * @throws TollgateError NOT_FOUND, GONE, FORBIDDEN; BAD_REQUEST naming the field
 */
export async function updateApi({ ctx, input }: Verb<UpdateApiInput>): Promise<Api> {
  requireAdminOrService(ctx);
  if (input.openapi !== undefined) await assertOpenapiOf(ctx, input.name, input.openapi);
  return withTransaction(ctx, (ctx) => updateInTransaction(ctx, input), { isIdempotent: true });
}

async function updateInTransaction(ctx: ServiceContext, input: UpdateApiInput): Promise<Api> {
  const found = await lockLiveApi(ctx, input.name);
  const now = ctx.clock.now();
  const effectiveFrom = input.effectiveFrom ?? now;
  if (effectiveFrom.getTime() < now.getTime()) {
    throw badRequest("A price cannot begin in the past", {
      issues: [{ path: "effectiveFrom", message: "Must not be in the past" }],
    });
  }
  const existing = (await loadEndpoints(ctx, [found.id])).get(found.id) ?? [];
  const wanted = mergeEndpoints(existing, input.endpoints ?? [], effectiveFrom);
  const { name, endpoints: _endpoints, effectiveFrom: _effectiveFrom, ...given } = input;
  const fields = Object.fromEntries(
    Object.entries(given).filter(
      ([key, value]) => value !== undefined && !isDeepStrictEqual(value, found[key as keyof typeof given]),
    ),
  );
  assertEndpointsInOpenapi(input.openapi ?? found.openapi, wanted);
  const plan = planEndpoints(existing, wanted, { effectiveFrom });
  if (Object.keys(fields).length === 0 && isEmptyPlan(plan)) return readApi(ctx, name);
  await ctx.db
    .update(schema.apis)
    .set({ ...fields, revision: sql`${schema.apis.revision} + 1`, updatedAt: now })
    .where(eq(schema.apis.id, found.id));
  await writeEndpoints(ctx, found.id, plan);
  await writeAudit(ctx, {
    action: "catalog.update",
    subject: found.id,
    before: auditable(Object.fromEntries(Object.keys(fields).map((key) => [key, found[key as keyof typeof found]]))),
    after: { ...auditable(fields), endpoints: plan },
  });
  if (found.status !== "draft") await appendEvent(ctx, catalogUpdated, { apiId: found.id, name });
  return readApi(ctx, name);
}

/** The live endpoints as they will be: a patch changes the one of its name, or makes one when it is complete. */
function mergeEndpoints(
  existing: readonly EndpointFacts[],
  patches: NonNullable<UpdateApiInput["endpoints"]>,
  at: Date,
): EndpointInput[] {
  const merged = new Map<string, EndpointInput>();
  for (const facts of existing) if (facts.retiredAt === null) merged.set(facts.name, toInput(facts, at));
  const issues: FieldIssue[] = [];
  for (const [index, patch] of patches.entries()) {
    const before = merged.get(patch.name);
    const parsed = endpointInput.safeParse({
      ...before,
      ...(patch.unit === "call" ? { maxUnits: undefined } : {}),
      ...Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)),
    });
    if (parsed.success) merged.set(patch.name, parsed.data);
    else {
      issues.push(
        ...parsed.error.issues.map((issue) => ({
          path: ["endpoints", index, ...issue.path].join("."),
          message: before === undefined ? `${issue.message} (${patch.name} is a new endpoint)` : issue.message,
        })),
      );
    }
  }
  if (issues.length > 0) throw badRequest("The endpoints are not valid", { issues });
  return [...merged.values()];
}

function toInput(facts: EndpointFacts, at: Date): EndpointInput {
  return endpointInput.parse({
    ...facts,
    maxUnits: facts.unitsMax,
    chargeOn4xx: facts.isChargedOn4xx,
    priceMicros: priceAt(facts.prices, at),
  });
}
