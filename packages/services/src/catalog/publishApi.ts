import { isDeepStrictEqual } from "node:util";
import type { Api, PublishApiInput } from "@tollgate/contracts";
import { catalogPublished, catalogUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { assertEndpointsInOpenapi } from "./assertOpenapi.ts";
import type { ApiRow } from "./internal.ts";
import { assertOpenapiOf, findApi, loadEndpoints, readApi, writeEndpoints } from "./internal.ts";
import { isEmptyPlan, planEndpoints } from "./planEndpoints.ts";

/**
 * Publishes an API, or brings a published one to what is given: endpoints are matched by name, those left out are
 * retired, and a changed price begins now. The same again changes nothing and announces nothing, so an upstream may
 * publish whenever it starts. A removed API comes back under its old id; a deprecated one stays deprecated.
 * @throws TollgateError BAD_REQUEST `openapi_invalid`, or for an endpoint that is not in the document; CONFLICT
 * `api_already_published` when a published API is published as a draft; FORBIDDEN
 */
export async function publishApi({ ctx, input }: Verb<PublishApiInput>): Promise<Api> {
  requireAdminOrService(ctx);
  await assertOpenapiOf(ctx, input.name, input.openapi);
  assertEndpointsInOpenapi(input.openapi, input.endpoints);
  return withTransaction(ctx, (ctx) => publishInTransaction(ctx, input), { isIdempotent: true });
}

async function publishInTransaction(ctx: ServiceContext, input: PublishApiInput): Promise<Api> {
  const found = await findApi(ctx, input.name, { lock: true });
  if (found === undefined) return publishNew(ctx, input);
  const status = nextStatus(found, input.status);
  const existing = (await loadEndpoints(ctx, [found.id])).get(found.id) ?? [];
  const now = ctx.clock.now();
  const plan = planEndpoints(existing, input.endpoints, { effectiveFrom: now });
  const { name, endpoints, status: _, ...fields } = input;
  const isSame =
    status === found.status &&
    isEmptyPlan(plan) &&
    Object.entries(fields).every(([key, value]) => isDeepStrictEqual(value, found[key as keyof typeof fields]));
  if (isSame) return readApi(ctx, name);
  const isReturn = found.status === "removed";
  await ctx.db
    .update(schema.apis)
    .set({
      ...fields,
      status,
      ...(isReturn ? { deprecatedAt: null, sunsetAt: null } : {}),
      revision: sql`${schema.apis.revision} + 1`,
      updatedAt: now,
    })
    .where(eq(schema.apis.id, found.id));
  await writeEndpoints(ctx, found.id, plan);
  const api = await readApi(ctx, name);
  await writeAudit(ctx, {
    action: "catalog.publish",
    subject: found.id,
    before: { status: found.status, endpoints: existing.map((endpoint) => endpoint.name) },
    after: { status, endpoints },
  });
  if (status !== "draft") {
    const isNews = isReturn || found.status === "draft";
    await appendEvent(ctx, isNews ? catalogPublished : catalogUpdated, { apiId: found.id, name });
  }
  return api;
}

async function publishNew(ctx: ServiceContext, input: PublishApiInput): Promise<Api> {
  const { endpoints, ...fields } = input;
  const now = ctx.clock.now();
  const id = newId("api");
  const inserted = await ctx.db
    .insert(schema.apis)
    .values({ id, ...fields, revision: 1, createdAt: now, updatedAt: now })
    .onConflictDoNothing({ target: schema.apis.name })
    .returning({ id: schema.apis.id });
  if (inserted.length === 0)
    throw conflict(`An API named ${input.name} was just published`, { reason: "api_name_taken" });
  await writeEndpoints(ctx, id, planEndpoints([], endpoints, { effectiveFrom: now }));
  await writeAudit(ctx, {
    action: "catalog.publish",
    subject: id,
    after: { name: input.name, status: input.status, endpoints },
  });
  if (input.status === "published") await appendEvent(ctx, catalogPublished, { apiId: id, name: input.name });
  return readApi(ctx, input.name);
}

function nextStatus(found: ApiRow, wanted: PublishApiInput["status"]): ApiRow["status"] {
  if (found.status === "draft" || found.status === "removed") return wanted;
  if (wanted === "draft") {
    throw conflict("The API is published already: remove it instead", { reason: "api_already_published" });
  }
  return found.status;
}
