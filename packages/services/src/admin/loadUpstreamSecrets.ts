import type { DbContext } from "@tollgate/db";
import { retryRead, schema } from "@tollgate/db";
import type { Envelope, Keyring } from "@tollgate/kernel";
import { chunksOf } from "@tollgate/kernel";
import { and, asc, eq, inArray, ne } from "drizzle-orm";
import { secretContext } from "./secrets.ts";

/** A credential as the gateways load it: encrypted, until {@link openUpstreamSecret}. */
export interface UpstreamSecret extends Envelope {
  readonly id: string;
  readonly apiId: string;
  readonly placement: "header" | "query";
  readonly name: string;
}

/** Far below the parameters that a statement may have. */
const APIS_AT_ONCE = 5_000;

/**
 * The credentials of those of the APIs that are in service. Setting or deleting one is a change of its API, so whoever loads
 * them after the API knows all that belong to it.
 */
export async function loadUpstreamSecrets({
  ctx,
  input,
}: {
  readonly ctx: DbContext;
  readonly input: { readonly apiIds: readonly string[] };
}): Promise<UpstreamSecret[]> {
  const { apis, upstreamSecrets } = schema;
  const secrets: UpstreamSecret[] = [];
  for (const some of chunksOf(input.apiIds, APIS_AT_ONCE)) {
    const rows = await retryRead(() =>
      ctx.db
        .select({ secret: upstreamSecrets })
        .from(upstreamSecrets)
        .innerJoin(apis, eq(apis.id, upstreamSecrets.apiId))
        .where(and(inArray(apis.id, some), ne(apis.status, "removed")))
        .orderBy(asc(upstreamSecrets.apiId), asc(upstreamSecrets.id)),
    );
    secrets.push(...rows.map(({ secret }) => secret));
  }
  return secrets;
}

/** What a credential says. @throws Error if it was changed, moved, or wrapped by a master key that is not on the ring */
export const openUpstreamSecret = (keyring: Keyring, secret: UpstreamSecret): string =>
  keyring.open(secretContext(secret), secret);
