import type { Key, keyIdInput } from "@tollgate/contracts";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireKey, toKey } from "./internal.ts";

/** One key, for members of its project. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function readKey({ ctx, input }: Verb<z.output<typeof keyIdInput>>): Promise<Key> {
  const { key, project } = await requireKey(ctx, input.id, "keys.read");
  return toKey(ctx, project, key);
}
