import { retryRead, schema } from "@tollgate/db";
import { notFound, TollgateError, unseal } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { Verb } from "../context.ts";
import { EXPORT_SEAL_PURPOSE, hashExportToken } from "./exportTokens.ts";

/**
 * The copy of somebody's data behind a link, as JSON text. The token is the permission.
 * @throws TollgateError NOT_FOUND; GONE `export_expired`
 */
export async function readExport({ ctx, input }: Verb<{ readonly token: string }>): Promise<string> {
  const { customerExports } = schema;
  const [row] = await retryRead(() =>
    ctx.db
      .select()
      .from(customerExports)
      .where(eq(customerExports.tokenHash, hashExportToken(input.token))),
  );
  if (row === undefined || row.body === null) throw notFound("export");
  if (row.expiresAt <= ctx.clock.now()) {
    throw new TollgateError("GONE", "This link has expired: order another copy", { reason: "export_expired" });
  }
  return unseal(ctx.settings.masterSecret, EXPORT_SEAL_PURPOSE, row.body);
}
