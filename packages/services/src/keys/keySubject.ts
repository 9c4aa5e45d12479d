import type { unblockKeysInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import type { SQL } from "drizzle-orm";
import { and, eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";

const { customers, keys, projectMembers, projects } = schema;

/**
 * The condition for the keys that an operator means. There is always one, so an absent id can never mean all keys.
 * @throws TollgateError NOT_FOUND
 */
export async function requireKeySubject(ctx: ServiceContext, input: z.output<typeof unblockKeysInput>): Promise<SQL> {
  if (input.keyId !== undefined) {
    await assertThere(ctx.db.select({ id: keys.id }).from(keys).where(eq(keys.id, input.keyId)), "key");
    return eq(keys.id, input.keyId);
  }
  if (input.projectId !== undefined) {
    await assertThere(
      ctx.db.select({ id: projects.id }).from(projects).where(eq(projects.id, input.projectId)),
      "project",
    );
    return eq(keys.projectId, input.projectId);
  }
  if (input.customerId === undefined) throw new Error("The input names no key, project or customer");
  const { customerId } = input;
  await assertThere(
    ctx.db.select({ id: customers.id }).from(customers).where(eq(customers.id, customerId)),
    "customer",
  );
  const owned = ctx.db
    .select({ id: projectMembers.projectId })
    .from(projectMembers)
    .where(and(eq(projectMembers.customerId, customerId), eq(projectMembers.role, "owner")));
  return inArray(keys.projectId, owned);
}

async function assertThere(query: PromiseLike<readonly unknown[]>, kind: string): Promise<void> {
  if ((await query).length === 0) throw notFound(kind);
}
