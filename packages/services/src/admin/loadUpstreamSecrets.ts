import type { DbContext } from "@tollgate/db";
import { retryRead, schema } from "@tollgate/db";
import type { Envelope, Keyring } from "@tollgate/kernel";
import { asc, eq, ne } from "drizzle-orm";
import { secretContext } from "./secrets.ts";

/** A credential as the gateways load it: encrypted, until {@link openUpstreamSecret}. */
export interface UpstreamSecret extends Envelope {
  readonly id: string;
  readonly apiId: string;
  readonly placement: "header" | "query";
  readonly name: string;
}

/**
 * Every credential of APIs that are in service. Setting or deleting one moves the catalogue's version, so whoever loads
 * them after the catalogue knows all that belong to it.
 */
export async function loadUpstreamSecrets({ ctx }: { readonly ctx: DbContext }): Promise<UpstreamSecret[]> {
  const { apis, upstreamSecrets } = schema;
  const rows = await retryRead(() =>
    ctx.db
      .select({ secret: upstreamSecrets })
      .from(upstreamSecrets)
      .innerJoin(apis, eq(apis.id, upstreamSecrets.apiId))
      .where(ne(apis.status, "removed"))
      .orderBy(asc(upstreamSecrets.apiId), asc(upstreamSecrets.id)),
  );
  return rows.map(({ secret }) => secret);
}

/** What a credential says. @throws Error if it was changed, moved, or wrapped by a master key that is not on the ring */
export const openUpstreamSecret = (keyring: Keyring, secret: UpstreamSecret): string =>
  keyring.open(secretContext(secret), secret);
