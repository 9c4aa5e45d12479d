import type { Call, listCallsInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, gte } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";
import { CALLS_KEPT_MS, readNamedEndpoints, toCall } from "./internal.ts";

/** A project's calls of the last 30 days, newest first. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listCalls({ ctx, input }: Verb<z.output<typeof listCallsInput>>): Promise<Page<Call>> {
  await requireMember(ctx, input.projectId, "usage.calls", { orAdmin: true });
  const { calls } = schema;
  const rows = await ctx.db
    .select()
    .from(calls)
    .where(
      and(
        eq(calls.projectId, input.projectId),
        gte(calls.startedAt, new Date(ctx.clock.nowMs() - CALLS_KEPT_MS)),
        input.keyId === undefined ? undefined : eq(calls.keyId, input.keyId),
        input.endpointId === undefined ? undefined : eq(calls.endpointId, input.endpointId),
        afterCursor(calls.startedAt, calls.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(calls.startedAt, calls.id))
    .limit(input.limit + 1);
  const named = await readNamedEndpoints(ctx, [...new Set(rows.map((row) => row.endpointId))]);
  return toPage(
    rows.map((row) => ({ ...row, createdAt: row.startedAt })),
    input.limit,
    (row) => toCall(row, named.get(row.endpointId)),
  );
}
