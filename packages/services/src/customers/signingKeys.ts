import type { Database } from "@tollgate/db";
import { retryRead, schema, withSqlTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import { newId, seal, unseal } from "@tollgate/kernel";
import { desc, gt, isNull, or } from "drizzle-orm";
import type { CryptoKey, JWK } from "jose";
import { exportJWK, generateKeyPair, importJWK } from "jose";

/**
 * The Ed25519 keys (RFC 8032, RFC 8037) that sign what this deployment issues. The newest generation signs. A retired
 * one is still published and accepted until every token that it signed has expired.
 */
export const SIGNING_ALGORITHM = "EdDSA";
const SEAL_PURPOSE = "signing_keys.private";

/** How long a retired key is still accepted: longer than any token lives, plus what other processes take to notice. */
export const RETIRED_KEY_ACCEPTED_MS = 30 * 60_000;

export interface SigningKeySource {
  readonly database: Database;
  readonly settings: { readonly masterSecret: string };
  readonly clock: Clock;
}

/** A key that verifies; it is in the JWKS. */
export interface VerificationKey {
  readonly id: string;
  /** Public members only, as they stand in the JWKS. */
  readonly publicJwk: JWK;
  readonly publicKey: CryptoKey;
}

/** The key that signs, and all that may be met in a valid token. */
export interface SigningKeySet {
  readonly signing: VerificationKey & { readonly privateKey: CryptoKey };
  readonly accepted: ReadonlyMap<string, VerificationKey>;
}

type SigningKeyRow = typeof schema.signingKeys.$inferSelect;

/** A row of the next key: `generation` is one more than that of the newest. */
export async function makeSigningKey(
  source: Omit<SigningKeySource, "database">,
  generation: number,
): Promise<SigningKeyRow> {
  const id = newId("signingKey");
  const pair = await generateKeyPair(SIGNING_ALGORITHM, { crv: "Ed25519", extractable: true });
  const [publicJwk, privateJwk] = await Promise.all([exportJWK(pair.publicKey), exportJWK(pair.privateKey)]);
  return {
    id,
    generation,
    publicJwk: { ...publicJwk, kid: id, alg: SIGNING_ALGORITHM, use: "sig" },
    privateSealed: seal(source.settings.masterSecret, SEAL_PURPOSE, JSON.stringify(privateJwk)),
    createdAt: source.clock.now(),
    retiredAt: null,
  };
}

/**
 * The present keys. The very first one is made here; of two processes that make it at once one wins, because generations
 * are unique.
 * @throws Error if the signing key was sealed under another master secret
 */
export async function loadSigningKeySet(source: SigningKeySource): Promise<SigningKeySet> {
  let rows = await selectAccepted(source);
  if (rows.length === 0) {
    await insertFirstKey(source);
    rows = await selectAccepted(source);
  }
  const newest = rows.find((row) => row.retiredAt === null);
  if (newest === undefined) throw new Error("There is no signing key that is not retired");
  const accepted = new Map<string, VerificationKey>();
  for (const row of rows) accepted.set(row.id, await toVerificationKey(row));
  return {
    signing: { ...(await toVerificationKey(newest)), privateKey: await openPrivateKey(source, newest) },
    accepted,
  };
}

async function selectAccepted(source: SigningKeySource): Promise<SigningKeyRow[]> {
  const { signingKeys } = schema;
  const acceptedSince = new Date(source.clock.nowMs() - RETIRED_KEY_ACCEPTED_MS);
  return retryRead(() =>
    source.database.db
      .select()
      .from(signingKeys)
      .where(or(isNull(signingKeys.retiredAt), gt(signingKeys.retiredAt, acceptedSince)))
      .orderBy(desc(signingKeys.generation)),
  );
}

async function insertFirstKey(source: SigningKeySource): Promise<void> {
  const row = await makeSigningKey(source, 1);
  await withSqlTransaction(
    source.database,
    (sql) => sql`
      insert into signing_keys (id, generation, public_jwk, private_sealed, created_at)
      values (${row.id}, ${row.generation}, ${sql.json(row.publicJwk as { kid: string })}, ${row.privateSealed}, ${row.createdAt})
      on conflict (generation) do nothing`,
    { isIdempotent: true },
  );
}

async function toVerificationKey(row: SigningKeyRow): Promise<VerificationKey> {
  return { id: row.id, publicJwk: row.publicJwk, publicKey: await importKey(row.publicJwk) };
}

async function openPrivateKey(source: SigningKeySource, row: SigningKeyRow): Promise<CryptoKey> {
  let opened: string;
  try {
    opened = unseal(source.settings.masterSecret, SEAL_PURPOSE, row.privateSealed);
  } catch (error) {
    throw new Error(`Signing key ${row.id} was sealed under another master secret than this process has`, {
      cause: error,
    });
  }
  return importKey(JSON.parse(opened));
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, SIGNING_ALGORITHM);
  if (key instanceof Uint8Array) throw new Error("A signing key is not an asymmetric one");
  return key;
}
