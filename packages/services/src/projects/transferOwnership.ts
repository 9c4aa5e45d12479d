import type { Done, transferOwnershipInput } from "@tollgate/contracts";
import { withTransaction } from "@tollgate/db";
import { badRequest } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { writeRole } from "./changeRole.ts";
import { getMember, requireMembership } from "./internal.ts";

/**
 * Hands the caller's ownership to another member: they become an owner and the caller an admin, in one step. Who pays
 * stays as it is. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; BAD_REQUEST for oneself
 */
export async function transferOwnership({ ctx, input }: Verb<z.output<typeof transferOwnershipInput>>): Promise<Done> {
  return withTransaction(ctx, async (ctx) => {
    const { own } = await requireMembership(ctx, input.projectId, "projects.transferOwnership");
    if (input.customerId === own.customerId) {
      const message = "Is the caller: name another member";
      throw badRequest(`customerId: ${message}`, { issues: [{ path: "customerId", message }] });
    }
    const heir = await getMember(ctx, input.projectId, input.customerId);
    await writeRole(ctx, "projects.transferOwnership", heir, "owner");
    await writeRole(ctx, "projects.transferOwnership", own, "admin");
    return { ok: true };
  });
}
