import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict } from "@tollgate/kernel";
import { and, desc, isNull, lte } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { makeSigningKey } from "./signingKeys.ts";

/**
 * Makes a new key that signs from now on; the present one retires, and is published and accepted until its tokens have
 * expired. Processes take the new key up within a minute, and at once when they meet a token that it signed.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN; CONFLICT when two rotate at once
 */
export async function rotateSigningKey({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly keyId: string }> {
  requireAdminOrService(ctx);
  const { signingKeys } = schema;
  return withTransaction(ctx, async (ctx) => {
    const [newest] = await ctx.db
      .select({ generation: signingKeys.generation })
      .from(signingKeys)
      .orderBy(desc(signingKeys.generation))
      .limit(1);
    const generation = (newest?.generation ?? 0) + 1;
    const row = await makeSigningKey(ctx, generation);
    const inserted = await ctx.db
      .insert(signingKeys)
      .values(row)
      .onConflictDoNothing({ target: signingKeys.generation })
      .returning({ id: signingKeys.id });
    if (inserted.length === 0) throw conflict("The keys are being rotated by somebody else");
    await ctx.db
      .update(signingKeys)
      .set({ retiredAt: ctx.clock.now() })
      .where(and(isNull(signingKeys.retiredAt), lte(signingKeys.generation, generation - 1)));
    await writeAudit(ctx, { action: "customers.rotateSigningKey", subject: row.id, after: { generation } });
    return { keyId: row.id };
  });
}
