import type { GeneratedKey, importKeyInput } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { conflict, notFound } from "@tollgate/kernel";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import { insertKey } from "./insertKey.ts";
import { invalid } from "./internal.ts";
import { hashKey, hasValidChecksum, keyMode } from "./keyFormat.ts";

/**
 * Takes in a key whose text exists already, so that programs that hold it go on working: after a move from another
 * deployment, or for the demo. Importing it again into the same project changes nothing.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN; BAD_REQUEST for a text that is not a key of this mode; NOT_FOUND for
 * the project; CONFLICT when another project has the key
 */
export async function importKey({ ctx, input }: Verb<z.output<typeof importKeyInput>>): Promise<GeneratedKey> {
  requireService(ctx);
  if (!hasValidChecksum(input.key)) throw invalid("key", "Is not the text of a key");
  if (keyMode(input.key) !== input.mode) throw invalid("mode", "Is not the mode that the key's text states");
  const { keys, projects } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const [project] = await ctx.db
        .select({ id: projects.id })
        .from(projects)
        .where(and(eq(projects.id, input.projectId), isNull(projects.deletedAt)));
      if (project === undefined) throw notFound("project");
      const inserted = await insertKey(ctx, "keys.import", input.key, input);
      if (inserted !== undefined) return { id: inserted.id, key: input.key };
      const [found] = await ctx.db
        .select({ id: keys.id, projectId: keys.projectId })
        .from(keys)
        .where(eq(keys.hash, hashKey(input.key)));
      if (found?.projectId !== input.projectId) throw conflict("Another project has this key");
      return { id: found.id, key: input.key };
    },
    { isIdempotent: true },
  );
}
