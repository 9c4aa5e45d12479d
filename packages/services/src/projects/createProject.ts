import type { createProjectInput, Project } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { asc, eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin, requireCustomer } from "../permissions.ts";
import { insertBillingAccount, insertProject } from "./insertProject.ts";
import { toProject } from "./internal.ts";

/**
 * A project of the caller's own. It is paid for by the billing account they name, or else by the oldest one that they
 * administer, or else by a new one. @throws TollgateError UNAUTHORIZED; NOT_FOUND for a billing account that is not theirs
 */
export async function createProject({ ctx, input }: Verb<z.output<typeof createProjectInput>>): Promise<Project> {
  const { customerId } = requireCustomer(ctx);
  return withTransaction(ctx, async (ctx) => {
    const billingAccountId = await choosePayer(ctx, customerId, input);
    const row = await insertProject(ctx, { name: input.name, billingAccountId, ownerId: customerId });
    return toProject(row, "owner");
  });
}

async function choosePayer(
  ctx: ServiceContext,
  customerId: string,
  input: z.output<typeof createProjectInput>,
): Promise<string> {
  if (input.billingAccountId !== undefined) return (await requireAccountAdmin(ctx, input.billingAccountId)).id;
  const { billingAccountAdmins } = schema;
  const [own] = await ctx.db
    .select({ id: billingAccountAdmins.billingAccountId })
    .from(billingAccountAdmins)
    .where(eq(billingAccountAdmins.customerId, customerId))
    .orderBy(asc(billingAccountAdmins.createdAt), asc(billingAccountAdmins.billingAccountId))
    .limit(1);
  return own?.id ?? insertBillingAccount(ctx, { name: input.name, adminId: customerId });
}
