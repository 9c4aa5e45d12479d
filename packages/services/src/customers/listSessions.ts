import type { listSessionsInput, Page, Session } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, gt, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireCustomer } from "../permissions.ts";

/** The devices on which the caller is signed in, newest first. @throws TollgateError UNAUTHORIZED */
export async function listSessions({ ctx, input }: Verb<z.output<typeof listSessionsInput>>): Promise<Page<Session>> {
  const { customerId, sessionId } = requireCustomer(ctx);
  const { sessions } = schema;
  const rows = await ctx.db
    .select()
    .from(sessions)
    .where(
      and(
        eq(sessions.customerId, customerId),
        isNull(sessions.revokedAt),
        gt(sessions.expiresAt, ctx.clock.now()),
        afterCursor(sessions.createdAt, sessions.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(sessions.createdAt, sessions.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, (row) => ({
    id: row.id,
    userAgent: row.userAgent,
    ip: row.ip,
    createdAt: row.createdAt,
    lastUsedAt: row.lastUsedAt,
    expiresAt: row.expiresAt,
    isCurrent: row.id === sessionId,
  }));
}
