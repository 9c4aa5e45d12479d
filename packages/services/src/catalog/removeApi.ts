import type { Api, apiRefInput } from "@tollgate/contracts";
import { catalogRemoved } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { findApi, readApi } from "./internal.ts";

/** Takes an API out of service: calls get 410 from now on. Its usage and prices stay. Again changes nothing. @throws TollgateError NOT_FOUND, FORBIDDEN */
export async function removeApi({ ctx, input }: Verb<z.output<typeof apiRefInput>>): Promise<Api> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const found = await findApi(ctx, input.name, { lock: true });
      if (found === undefined) throw notFound("api");
      if (found.status === "removed") return readApi(ctx, input.name);
      await ctx.db
        .update(schema.apis)
        .set({ status: "removed", revision: sql`${schema.apis.revision} + 1`, updatedAt: ctx.clock.now() })
        .where(eq(schema.apis.id, found.id));
      await writeAudit(ctx, {
        action: "catalog.remove",
        subject: found.id,
        before: { status: found.status },
        after: { status: "removed" },
      });
      await appendEvent(ctx, catalogRemoved, { apiId: found.id, name: found.name });
      return readApi(ctx, input.name);
    },
    { isIdempotent: true },
  );
}
