import type { listSecretsInput, Page, Secret } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdmin } from "../permissions.ts";
import { toSecret } from "./secrets.ts";

/** Which credentials are kept, newest first, without their values. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listSecrets({ ctx, input }: Verb<z.output<typeof listSecretsInput>>): Promise<Page<Secret>> {
  requireAdmin(ctx);
  const { apis, upstreamSecrets } = schema;
  const rows = await ctx.db
    .select({ secret: upstreamSecrets, api: apis.name })
    .from(upstreamSecrets)
    .innerJoin(apis, eq(apis.id, upstreamSecrets.apiId))
    .where(
      and(
        input.api === undefined ? undefined : eq(apis.name, input.api),
        afterCursor(upstreamSecrets.createdAt, upstreamSecrets.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(upstreamSecrets.createdAt, upstreamSecrets.id))
    .limit(input.limit + 1);
  return toPage(
    rows.map(({ secret, api }) => toSecret(secret, api)),
    input.limit,
    (secret) => secret,
  );
}
