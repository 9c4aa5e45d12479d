import type { Secret, SetSecretInput } from "@tollgate/contracts";
import { adminSecretSet } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { reviseApi } from "../catalog/index.ts";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import type { SecretRow } from "./secrets.ts";
import { keyringOf, secretContext, toSecret } from "./secrets.ts";

const SECRETS_PER_API_MAX = 20;

/**
 * Keeps a credential of an API's upstream, or replaces it. From then on the gateways add it to the API's requests. Its
 * value is in no answer, no audit row and no event.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND, GONE; CONFLICT `too_many_secrets`
 */
export async function setSecret({ ctx, input }: Verb<SetSecretInput>): Promise<Secret> {
  requireAdmin(ctx);
  return withTransaction(ctx, (ctx) => setInTransaction(ctx, input), { isIdempotent: true });
}

async function setInTransaction(ctx: ServiceContext, input: SetSecretInput): Promise<Secret> {
  const { upstreamSecrets } = schema;
  const { placement, name } = input;
  const api = await reviseApi(ctx, input.api);
  const present = await ctx.db.select().from(upstreamSecrets).where(eq(upstreamSecrets.apiId, api.id));
  const before = present.find((row) => row.placement === placement && row.name === name);
  if (before === undefined && present.length >= SECRETS_PER_API_MAX) {
    throw conflict(`An API has at most ${SECRETS_PER_API_MAX} secrets`, { reason: "too_many_secrets" });
  }
  const now = ctx.clock.now();
  const place = { id: before?.id ?? newId("secret"), apiId: api.id, placement, name };
  const sealed = keyringOf(ctx.settings).seal(secretContext(place), input.value);
  const row: SecretRow = { ...place, ...sealed, createdAt: before?.createdAt ?? now, updatedAt: now };
  if (before === undefined) await ctx.db.insert(upstreamSecrets).values(row);
  else await ctx.db.update(upstreamSecrets).set(row).where(eq(upstreamSecrets.id, row.id));
  await writeAudit(ctx, {
    action: "admin.secrets.set",
    subject: row.id,
    ...(before === undefined ? {} : { before: { updatedAt: before.updatedAt } }),
    after: { api: api.name, placement, name, masterKeyId: row.masterKeyId },
  });
  await appendEvent(ctx, adminSecretSet, { apiId: api.id, api: api.name, placement, name });
  return toSecret(row, api.name);
}
