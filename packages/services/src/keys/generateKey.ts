import type { GeneratedKey, generateKeyInput } from "@tollgate/contracts";
import { withTransaction } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireMember } from "../permissions.ts";
import { insertKey } from "./insertKey.ts";
import { generateKeyText } from "./keyFormat.ts";

/**
 * A new key of a project, for its developers. The answer is the only place where the key ever stands.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; BAD_REQUEST for a past expiry or a malformed network
 */
export async function generateKey({ ctx, input }: Verb<z.output<typeof generateKeyInput>>): Promise<GeneratedKey> {
  return withTransaction(ctx, async (ctx) => {
    await requireMember(ctx, input.projectId, "keys.generate");
    const text = generateKeyText(input.mode);
    const row = await insertKey(ctx, "keys.generate", text, input);
    if (row === undefined) throw new Error("A new key has the hash of an old one");
    return { id: row.id, key: text };
  });
}
