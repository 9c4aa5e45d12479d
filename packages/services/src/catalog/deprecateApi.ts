import type { Api, deprecateApiInput } from "@tollgate/contracts";
import { catalogDeprecated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { badRequest, conflict } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { lockLiveApi, readApi } from "./internal.ts";

/**
 * Announces the end of an API: its answers carry `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) from now on, and it
 * works on until it is removed.
 * @throws TollgateError NOT_FOUND, GONE, FORBIDDEN; CONFLICT for a draft; BAD_REQUEST for a sunset that has passed
 */
export async function deprecateApi({ ctx, input }: Verb<z.output<typeof deprecateApiInput>>): Promise<Api> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const found = await lockLiveApi(ctx, input.name);
      if (found.status === "draft") throw conflict("A draft cannot be deprecated", { reason: "api_not_published" });
      const now = ctx.clock.now();
      if (found.status === "deprecated" && found.sunsetAt?.getTime() === input.sunsetAt.getTime()) {
        return readApi(ctx, input.name);
      }
      if (input.sunsetAt.getTime() <= now.getTime()) {
        throw badRequest("The sunset has passed", { issues: [{ path: "sunsetAt", message: "Must be in the future" }] });
      }
      await ctx.db
        .update(schema.apis)
        .set({
          status: "deprecated",
          deprecatedAt: found.deprecatedAt ?? now,
          sunsetAt: input.sunsetAt,
          revision: sql`${schema.apis.revision} + 1`,
          updatedAt: now,
        })
        .where(eq(schema.apis.id, found.id));
      await writeAudit(ctx, {
        action: "catalog.deprecate",
        subject: found.id,
        before: { status: found.status, sunsetAt: found.sunsetAt },
        after: { status: "deprecated", sunsetAt: input.sunsetAt },
      });
      await appendEvent(ctx, catalogDeprecated, {
        apiId: found.id,
        name: found.name,
        sunsetAt: input.sunsetAt.toISOString(),
      });
      return readApi(ctx, input.name);
    },
    { isIdempotent: true },
  );
}
