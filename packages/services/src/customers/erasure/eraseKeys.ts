import { schema } from "@tollgate/db";
import { inArray } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import { revokeProjectKeys } from "../../keys/revokeProjectKeys.ts";
import type { CustomerRow } from "../internal.ts";
import { findOwnedAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

/**
 * Keys of projects that are left without an owner: those that a co-owner kept alive until they left as well end here, and
 * what a person wrote on any of them (a name, the networks they call from) goes.
 */
export async function eraseKeys(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { keys } = schema;
  const projectIds = await findOwnedAlone(ctx, customer.id);
  if (projectIds.length === 0) return { keys: 0, revoked: 0 };
  let revoked = 0;
  for (const projectId of projectIds) revoked += (await revokeProjectKeys(ctx, projectId)).length;
  const erased = await ctx.db
    .update(keys)
    .set({ name: "erased", allowedCidrs: null, blockedMessage: null })
    .where(inArray(keys.projectId, projectIds))
    .returning({ id: keys.id });
  return { keys: erased.length, revoked };
}
