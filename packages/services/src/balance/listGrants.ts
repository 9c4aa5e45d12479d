import type { billingAccountPageInput, Grant, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAccountAdmin } from "../permissions.ts";
import type { GrantRow } from "./internal.ts";

/** All grants of an account, spent and expired ones too, newest first. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listGrants({ ctx, input }: Verb<z.output<typeof billingAccountPageInput>>): Promise<Page<Grant>> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orMember: true, orAdmin: true });
  const { grants } = schema;
  const rows = await ctx.db
    .select()
    .from(grants)
    .where(
      and(eq(grants.billingAccountId, input.billingAccountId), afterCursor(grants.createdAt, grants.id, input.cursor)),
    )
    .orderBy(...newestFirst(grants.createdAt, grants.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toGrant);
}

export function toGrant(row: GrantRow): Grant {
  const { id, source, amountMicros, remainingMicros, reference, createdAt, expiresAt } = row;
  return { id, source, amountMicros, remainingMicros, reference, createdAt, expiresAt };
}
