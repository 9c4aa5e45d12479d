import { createHash } from "node:crypto";
import type { OauthProvider, OauthStarted } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { badRequest, randomBase62, seal, unseal } from "@tollgate/kernel";
import { and, eq, gt } from "drizzle-orm";
import { z } from "zod";
import type { ServiceContext } from "../context.ts";
import type { OauthContext } from "./oauthProviders.ts";
import { toProviderError } from "./providers/exchange.ts";
import type { ExchangeSecrets } from "./providers/provider.ts";

/**
 * A sign-in between its start and its end. `state` travels through the browser and names it; it is good once. `binding`
 * stays with the one who started, so that an answer can neither be slipped to somebody else (who would then be signed in
 * as, or linked to, the attacker) nor be used by whoever saw the URLs.
 */
export const STATE_LIFETIME_MS = 10 * 60_000;
const SECRET_CHARACTERS = 43;
const SEAL_PURPOSE = "oauth_states.secrets";
const { oauthStates } = schema;

export type StateRow = typeof oauthStates.$inferSelect;

const secretsSchema = z.object({ codeVerifier: z.string(), nonce: z.string() });

/** Starts a sign-in, or for a customer who is signed in already the linking of one more way to do so. */
export async function startState(
  ctx: OauthContext,
  input: { readonly provider: OauthProvider; readonly redirectTo?: string | undefined },
  customerId: string | null,
): Promise<OauthStarted> {
  const provider = ctx.oauthProviders.get(input.provider);
  if (input.redirectTo !== undefined) ctx.oauthProviders.assertMayReturnTo(input.redirectTo);
  const secrets = {
    state: randomBase62(SECRET_CHARACTERS),
    codeVerifier: randomBase62(SECRET_CHARACTERS),
    nonce: randomBase62(SECRET_CHARACTERS),
  };
  const binding = randomBase62(SECRET_CHARACTERS);
  const url = await provider.authorizationUrl(secrets).catch((error: unknown) => {
    throw toProviderError(error);
  });
  const { codeVerifier, nonce } = secrets;
  const now = ctx.clock.now();
  const expiresAt = new Date(now.getTime() + STATE_LIFETIME_MS);
  const row = {
    id: hashOf(secrets.state),
    provider: input.provider,
    secretsSealed: seal(ctx.settings.masterSecret, SEAL_PURPOSE, JSON.stringify({ codeVerifier, nonce })),
    bindingHash: hashOf(binding),
    isFromBrowser: ctx.isFromBrowser,
    redirectTo: input.redirectTo ?? null,
    customerId,
    createdAt: now,
    expiresAt,
  };
  await withTransaction(ctx, (ctx) => ctx.db.insert(oauthStates).values(row));
  return { url, binding, expiresAt };
}

/**
 * Takes a sign-in that has come back; it cannot be taken again, whatever becomes of it.
 * @throws TollgateError BAD_REQUEST `invalid_state` for one that was never started, is over, belongs to another provider,
 * or was started by somebody else
 */
export async function takeState(
  ctx: OauthContext,
  input: { readonly provider: OauthProvider; readonly state: string; readonly binding?: string | undefined },
): Promise<{ readonly row: StateRow; readonly secrets: ExchangeSecrets }> {
  const row = await withTransaction(ctx, async (ctx) => {
    const found = await findState(ctx, input.provider, input.state);
    if (found === undefined || !isBound(ctx, found, input.binding)) return undefined;
    const taken = await ctx.db
      .delete(oauthStates)
      .where(eq(oauthStates.id, found.id))
      .returning({ id: oauthStates.id });
    return taken.length === 0 ? undefined : found;
  });
  if (row === undefined) throw invalidState();
  const sealed = unseal(ctx.settings.masterSecret, SEAL_PURPOSE, row.secretsSealed);
  return { row, secrets: { state: input.state, ...secretsSchema.parse(JSON.parse(sealed)) } };
}

/** A sign-in that is under way; undefined when there is none of this state at this provider. */
export async function findState(
  ctx: ServiceContext,
  provider: OauthProvider,
  state: string,
): Promise<StateRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(oauthStates)
    .where(
      and(
        eq(oauthStates.id, hashOf(state)),
        eq(oauthStates.provider, provider),
        gt(oauthStates.expiresAt, ctx.clock.now()),
      ),
    );
  return row;
}

/** Where no browser takes part there is nobody to be lured, and a program may leave the binding out. */
function isBound(ctx: OauthContext, row: StateRow, binding: string | undefined): boolean {
  if (binding === undefined) return !row.isFromBrowser && !ctx.isFromBrowser;
  // Both are hashes of 256 random bits: how long the comparison takes says nothing.
  return hashOf(binding) === row.bindingHash;
}

const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");

function invalidState(): TollgateError {
  const message = "Was used, has expired or is not of this browser: start again";
  return badRequest(`state: ${message}`, { reason: "invalid_state", issues: [{ path: "state", message }] });
}
