import type { generateKeyInput } from "@tollgate/contracts";
import { keysGenerated } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { actorName, newId, unauthorized } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";
import type { KeyRow } from "./internal.ts";
import { assertFuture, keyEventData, normaliseCidrs, normaliseScopes } from "./internal.ts";
import { hashKey, keyStart } from "./keyFormat.ts";

/**
 * Writes a key with a given text, inside the transaction of a verb that has asked for permission. Of the text only its
 * hash and first characters are kept. @returns undefined if a key with this text is there already
 */
export async function insertKey(
  ctx: ServiceContext,
  action: string,
  text: string,
  input: z.output<typeof generateKeyInput>,
): Promise<KeyRow | undefined> {
  assertFuture(ctx, input.expiresAt);
  await assertStanding(ctx);
  const id = newId("key");
  const now = ctx.clock.now();
  const [row] = await ctx.db
    .insert(schema.keys)
    .values({
      id,
      projectId: input.projectId,
      name: input.name,
      hash: hashKey(text),
      start: keyStart(text),
      mode: input.mode,
      status: "active",
      scopes: normaliseScopes(input.scopes),
      allowedCidrs: input.allowedCidrs === undefined ? null : normaliseCidrs(input.allowedCidrs),
      rateLimitPerSecond: input.rateLimitPerSecond ?? null,
      monthlySpendCapMicros: input.monthlySpendCapMicros ?? null,
      rootKeyId: id,
      createdBy: actorName(ctx.actor),
      createdAt: now,
      updatedAt: now,
      expiresAt: input.expiresAt ?? null,
    })
    .onConflictDoNothing({ target: schema.keys.hash })
    .returning();
  if (row === undefined) return undefined;
  await writeAudit(ctx, { action, subject: id, after: describeKey(row) });
  await appendEvent(ctx, keysGenerated, keyEventData(row));
  return row;
}

/**
 * A ban and a deletion take the keys that are there. For a moment longer the person's access token is good, so a key that
 * is made now must either be seen by them or not be made: reading the status here makes the two conflict.
 * @throws TollgateError UNAUTHORIZED
 */
export async function assertStanding(ctx: ServiceContext): Promise<void> {
  if (ctx.actor.kind !== "customer") return;
  const { customers } = schema;
  const [row] = await ctx.db
    .select({ status: customers.status })
    .from(customers)
    .where(eq(customers.id, ctx.actor.customerId));
  if (row !== undefined && row.status !== "verified") throw unauthorized("This session has ended: sign in again");
}

/** What the audit shows of a key: everything but its hash. */
export function describeKey(row: KeyRow): object {
  const { hash: _, ...rest } = row;
  return rest;
}
