import type { InvariantList } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { ServiceContext } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { BOOK_CHECKS } from "./bookChecks.ts";

/** How each check of the ledger and of metering went when it last ran. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listInvariants({ ctx }: { readonly ctx: ServiceContext }): Promise<InvariantList> {
  requireAdmin(ctx);
  const runs = await ctx.db.select().from(schema.checkRuns);
  const byCheck = new Map(runs.map((run) => [run.check, run]));
  const items = BOOK_CHECKS.map(({ name, claim }) => {
    const { ok = null, differences = [], ranAt = null, brokenSince = null } = byCheck.get(name) ?? {};
    return { check: name, claim, ok, differences, ranAt, brokenSince };
  });
  return { ok: items.every(({ ok }) => ok === true), items };
}
