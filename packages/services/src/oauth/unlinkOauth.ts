import type { Done, unlinkOauthInput } from "@tollgate/contracts";
import { oauthUnlinked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, notFound } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { readWaysIn } from "./listOauth.ts";

/**
 * Takes a provider away as a way to sign in; the last way cannot be taken away, also when two are at once.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for a provider that is not linked; CONFLICT `last_login_method`
 */
export async function unlinkOauth({ ctx, input }: Verb<z.output<typeof unlinkOauthInput>>): Promise<Done> {
  const { customerId } = requireCustomer(ctx);
  const { oauthIdentities } = schema;
  const { provider } = input;
  return withTransaction(ctx, async (ctx) => {
    const { identities, hasPassword } = await readWaysIn(ctx, customerId);
    if (!identities.some((identity) => identity.provider === provider)) throw notFound("identity");
    if (!hasPassword && identities.length === 1) {
      throw conflict("This is the last way to sign in: set a password or link another provider first", {
        reason: "last_login_method",
      });
    }
    await ctx.db
      .delete(oauthIdentities)
      .where(and(eq(oauthIdentities.customerId, customerId), eq(oauthIdentities.provider, provider)));
    await writeAudit(ctx, { action: "oauth.unlink", subject: customerId, before: { provider } });
    await appendEvent(ctx, oauthUnlinked, { customerId, provider });
    return { ok: true };
  });
}
