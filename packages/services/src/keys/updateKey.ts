import type { Key, updateKeyInput } from "@tollgate/contracts";
import { keysUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict } from "@tollgate/kernel";
import { and, eq, ne } from "drizzle-orm";
import type { z } from "zod";
import { writeKeyCap } from "../budgets/spendCaps.ts";
import type { ServiceContext, Verb } from "../context.ts";
import { describeKey } from "./insertKey.ts";
import type { KeyRow } from "./internal.ts";
import { assertFuture, keyEventData, normaliseCidrs, normaliseScopes, requireKey, toKey } from "./internal.ts";

type Input = z.output<typeof updateKeyInput>;
const { keys } = schema;

/**
 * Changes a key, for the project's developers. The rate limit and the cap are those of the rotation chain, so they
 * change for its other keys too. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; BAD_REQUEST; CONFLICT for a
 * revoked key
 */
export async function updateKey({ ctx, input }: Verb<Input>): Promise<Key> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const { key, project } = await requireKey(ctx, input.id, "keys.update");
      if (key.status === "revoked") throw conflict("A revoked key cannot be changed", { reason: "key_revoked" });
      assertFuture(ctx, input.expiresAt);
      const own = ownChanges(input);
      const shared = sharedChanges(input);
      if (Object.keys(own).length + Object.keys(shared).length === 0) return toKey(ctx, project, key);
      const updatedAt = ctx.clock.now();
      const [after] = await ctx.db
        .update(keys)
        .set({ ...own, ...shared, updatedAt })
        .where(eq(keys.id, key.id))
        .returning();
      if (after === undefined) throw new Error(`The key ${key.id} went away while it was changed`);
      if (typeof input.monthlySpendCapMicros === "bigint") {
        await writeKeyCap(ctx, project, key.rootKeyId, input.monthlySpendCapMicros);
      }
      const siblings = await updateSiblings(ctx, key, shared, updatedAt);
      await writeAudit(ctx, {
        action: "keys.update",
        subject: key.id,
        before: describeKey(key),
        after: describeKey(after),
      });
      for (const changed of [after, ...siblings]) await appendEvent(ctx, keysUpdated, keyEventData(changed));
      return toKey(ctx, project, after);
    },
    { isIdempotent: true },
  );
}

type Changes = Partial<typeof keys.$inferInsert>;

/** What belongs to the one key. */
function ownChanges(input: Input): Changes {
  const { name, scopes, expiresAt, allowedCidrs } = input;
  return {
    ...(name === undefined ? {} : { name }),
    ...(scopes === undefined ? {} : { scopes: normaliseScopes(scopes) }),
    ...(expiresAt === undefined ? {} : { expiresAt, expiryAnnouncedAt: null }),
    ...(allowedCidrs === undefined
      ? {}
      : { allowedCidrs: allowedCidrs === null ? null : normaliseCidrs(allowedCidrs) }),
  };
}

/** What the keys of a rotation chain have in common. */
function sharedChanges(input: Input): Changes {
  const { rateLimitPerSecond, monthlySpendCapMicros } = input;
  return {
    ...(rateLimitPerSecond === undefined ? {} : { rateLimitPerSecond }),
    ...(monthlySpendCapMicros === undefined ? {} : { monthlySpendCapMicros }),
  };
}

async function updateSiblings(ctx: ServiceContext, key: KeyRow, shared: Changes, updatedAt: Date): Promise<KeyRow[]> {
  if (Object.keys(shared).length === 0) return [];
  return ctx.db
    .update(keys)
    .set({ ...shared, updatedAt })
    .where(
      and(
        eq(keys.projectId, key.projectId),
        eq(keys.rootKeyId, key.rootKeyId),
        ne(keys.id, key.id),
        ne(keys.status, "revoked"),
      ),
    )
    .returning();
}
