import { schema, withTransaction } from "@tollgate/db";
import { TollgateError } from "@tollgate/kernel";
import { and, gt, isNull } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import { rotateSigningKey } from "./rotateSigningKey.ts";

/** How long a key signs before the next one takes over. */
export const SIGNING_KEY_DAYS = 90;
const DAY_MS = 86_400_000;

/**
 * Makes a new signing key when the present one is old; the daily job. Two that run at once make one key.
 * @returns whether a key was made
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function rotateDueSigningKey({ ctx }: { readonly ctx: ServiceContext }): Promise<boolean> {
  requireService(ctx);
  const { signingKeys } = schema;
  const bornAfter = new Date(ctx.clock.nowMs() - SIGNING_KEY_DAYS * DAY_MS);
  try {
    return await withTransaction(ctx, async (ctx) => {
      const young = await ctx.db
        .select({ id: signingKeys.id })
        .from(signingKeys)
        .where(and(isNull(signingKeys.retiredAt), gt(signingKeys.createdAt, bornAfter)))
        .limit(1);
      if (young.length > 0) return false;
      await rotateSigningKey({ ctx });
      return true;
    });
  } catch (error) {
    // Somebody else's rotation is as good as ours.
    if (error instanceof TollgateError && error.code === "CONFLICT") return false;
    throw error;
  }
}
