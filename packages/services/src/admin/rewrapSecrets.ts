import type { Rewrapped } from "@tollgate/contracts";
import { adminSecretsRewrapped } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { asc, eq, ne } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { keyringOf, secretContext } from "./secrets.ts";

const BATCH = 100;

/**
 * Puts every secret under the newest master key; values are not touched. When it is done, older master keys may be taken
 * out of the environment. May be repeated and run in several places. Gateways must have the new key before.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN; Error if a secret's master key is not in this process's environment
 */
export async function rewrapSecrets({ ctx }: { readonly ctx: ServiceContext }): Promise<Rewrapped> {
  requireAdmin(ctx);
  const masterKeyId = keyringOf(ctx.settings).currentId;
  let rewrapped = 0;
  for (let batch = BATCH; batch === BATCH; rewrapped += batch) {
    batch = await withTransaction(ctx, (ctx) => rewrapBatch(ctx), { isIdempotent: true });
  }
  return { rewrapped, masterKeyId };
}

/** @returns how many were put under the newest key */
async function rewrapBatch(ctx: ServiceContext): Promise<number> {
  const { upstreamSecrets } = schema;
  const keyring = keyringOf(ctx.settings);
  const rows = await ctx.db
    .select()
    .from(upstreamSecrets)
    .where(ne(upstreamSecrets.masterKeyId, keyring.currentId))
    .orderBy(asc(upstreamSecrets.masterKeyId), asc(upstreamSecrets.id))
    .limit(BATCH)
    .for("update");
  for (const row of rows) {
    const { masterKeyId, wrappedKey } = keyring.rewrap(secretContext(row), row);
    await ctx.db.update(upstreamSecrets).set({ masterKeyId, wrappedKey }).where(eq(upstreamSecrets.id, row.id));
  }
  if (rows.length === 0) return 0;
  const after = { rewrapped: rows.length, masterKeyId: keyring.currentId };
  await writeAudit(ctx, { action: "admin.secrets.rewrap", subject: "upstream_secrets", after });
  await appendEvent(ctx, adminSecretsRewrapped, after);
  return rows.length;
}
