import type { DeleteSecretInput, Done } from "@tollgate/contracts";
import { adminSecretDeleted } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { reviseApi } from "../catalog/index.ts";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";

/** Forgets a credential; the gateways add it no more. @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND, GONE */
export async function deleteSecret({ ctx, input }: Verb<DeleteSecretInput>): Promise<Done> {
  requireAdmin(ctx);
  const { upstreamSecrets } = schema;
  const { placement, name } = input;
  return withTransaction(ctx, async (ctx) => {
    const api = await reviseApi(ctx, input.api);
    const [deleted] = await ctx.db
      .delete(upstreamSecrets)
      .where(
        and(
          eq(upstreamSecrets.apiId, api.id),
          eq(upstreamSecrets.placement, placement),
          eq(upstreamSecrets.name, name),
        ),
      )
      .returning({ id: upstreamSecrets.id });
    if (deleted === undefined) throw notFound("secret");
    const before = { api: api.name, placement, name };
    await writeAudit(ctx, { action: "admin.secrets.delete", subject: deleted.id, before });
    await appendEvent(ctx, adminSecretDeleted, { apiId: api.id, ...before });
    return { ok: true };
  });
}
