import type { generateKeyInput } from "@tollgate/contracts";
import { keysGenerated } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { actorName, newId } from "@tollgate/kernel";
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

/** What the audit shows of a key: everything but its hash. */
export function describeKey(row: KeyRow): object {
  const { hash: _, ...rest } = row;
  return rest;
}
