import type { GeneratedKey, rotateKeyInput } from "@tollgate/contracts";
import { keysRotated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { actorName, conflict, newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { describeKey } from "./insertKey.ts";
import type { KeyRow } from "./internal.ts";
import { keyEventData, requireKey, statusAt } from "./internal.ts";
import { generateKeyText, hashKey, keyStart } from "./keyFormat.ts";

const { keys } = schema;

/**
 * A new key with the settings of an old one, which ends after the grace; for the project's developers. Limits and caps are
 * counted under the first key of the chain, so while both work they share them.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; CONFLICT `key_not_active`: a blocked key is not freed by this
 */
export async function rotateKey({ ctx, input }: Verb<z.output<typeof rotateKeyInput>>): Promise<GeneratedKey> {
  return withTransaction(ctx, async (ctx) => {
    const { key } = await requireKey(ctx, input.id, "keys.rotate");
    const status = statusAt(key, ctx.clock.nowMs());
    if (status !== "active") throw conflict(`The key is ${status}`, { reason: "key_not_active" });
    const text = generateKeyText(key.mode);
    const successor = await insertSuccessor(ctx, key, text);
    const endsAt = new Date(ctx.clock.nowMs() + input.graceSeconds * 1_000);
    // A key that would have ended sooner still does.
    const expiresAt = key.expiresAt !== null && key.expiresAt < endsAt ? key.expiresAt : endsAt;
    await ctx.db.update(keys).set({ expiresAt, updatedAt: ctx.clock.now() }).where(eq(keys.id, key.id));
    await writeAudit(ctx, {
      action: "keys.rotate",
      subject: key.id,
      before: { expiresAt: key.expiresAt },
      after: { expiresAt, successor: describeKey(successor) },
    });
    await appendEvent(ctx, keysRotated, { ...keyEventData(key), newKeyId: successor.id });
    return { id: successor.id, key: text };
  });
}

async function insertSuccessor(ctx: ServiceContext, key: KeyRow, text: string): Promise<KeyRow> {
  const now = ctx.clock.now();
  const [successor] = await ctx.db
    .insert(keys)
    .values({
      ...key,
      id: newId("key"),
      hash: hashKey(text),
      start: keyStart(text),
      createdBy: actorName(ctx.actor),
      createdAt: now,
      updatedAt: now,
      expiryAnnouncedAt: null,
    })
    .returning();
  if (successor === undefined) throw new Error("A key was inserted and is not there");
  return successor;
}
