import type { Customer, listCustomersInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, like } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdmin } from "../permissions.ts";
import { toCustomer } from "./internal.ts";

/** Customers, newest first, for operators. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listCustomers({
  ctx,
  input,
}: Verb<z.output<typeof listCustomersInput>>): Promise<Page<Customer>> {
  requireAdmin(ctx);
  const { customers } = schema;
  const { status, emailPrefix, cursor, limit } = input;
  const rows = await ctx.db
    .select()
    .from(customers)
    .where(
      and(
        status === undefined ? undefined : eq(customers.status, status),
        emailPrefix === undefined ? undefined : like(customers.email, `${escapePattern(emailPrefix)}%`),
        afterCursor(customers.createdAt, customers.id, cursor),
      ),
    )
    .orderBy(...newestFirst(customers.createdAt, customers.id))
    .limit(limit + 1);
  return toPage(rows, limit, toCustomer);
}

/** What a person types means itself, `%` and `_` included. */
const escapePattern = (text: string): string => text.replaceAll(/[\\%_]/g, "\\$&");
