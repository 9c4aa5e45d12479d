import type { Actor } from "@tollgate/kernel";
import { isAdmin, isService } from "@tollgate/kernel";
import type { AnyTRPCProcedure } from "@trpc/server";
import type { ProcedureMeta } from "../trpc.ts";

/**
 * The most bytes that a request's body may have. Procedures that take documents say how many more they take than others
 * (`bodyBytesMax`), and that is for operators and services alone: a stranger cannot make the process hold so much before
 * it has looked at who is asking.
 */
export async function bodyLimit(
  procedures: readonly (AnyTRPCProcedure | undefined)[],
  ctx: object,
  usualMax: number,
): Promise<number> {
  const declared = procedures.map(
    (procedure) => (procedure?._def.meta as ProcedureMeta | undefined)?.bodyBytesMax ?? 0,
  );
  const most = Math.max(usualMax, ...declared);
  return most > usualMax && (await mayUpload(ctx)) ? most : usualMax;
}

async function mayUpload(ctx: { readonly authenticate?: () => Promise<Actor> }): Promise<boolean> {
  try {
    const actor = await ctx.authenticate?.();
    return actor !== undefined && (isAdmin(actor) || isService(actor));
  } catch {
    // Whoever it is is told so by the procedure itself.
    return false;
  }
}
