import type { TollgateError } from "@tollgate/kernel";
import { newId, unauthorized } from "@tollgate/kernel";
import type { CryptoKey, JWK, JWTPayload } from "jose";
import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from "jose";
import type { ServiceContext, ServiceSettings } from "../context.ts";
import type { SigningKeySet, SigningKeySource } from "./signingKeys.ts";
import { loadSigningKeySet, RETIRED_KEY_ACCEPTED_MS, SIGNING_ALGORITHM } from "./signingKeys.ts";

/**
 * Signs and verifies the tokens of a deployment (JWT, RFC 7519): access tokens of customers (RFC 9068) and the gateway's
 * tokens to upstreams, for calls and for the deletion of data. They differ in `typ` and in audience, so an upstream cannot
 * turn what it was sent into a sign-in. One per process; it keeps the keys in memory and asks the database again when they are old or a token names a new one.
 */
export const ACCESS_TOKEN_SECONDS = 15 * 60;
export const UPSTREAM_TOKEN_SECONDS = 60;
const ACCESS_TYPE = "at+jwt";
const UPSTREAM_TYPE = "JWT";
/** The `typ` of an order to delete data: what a call carries is no such order, and the other way round. */
const DATA_DELETION_TYPE = "data-deletion+jwt";
/** Keys older than this are looked up again in the background. */
const KEYS_STALE_AFTER_MS = 60_000;
/** Keys older than this are not used: they may have been retired for so long that verifiers no longer take them. */
const KEYS_USED_FOR_MS = RETIRED_KEY_ACCEPTED_MS / 2;
/** The least time between two looks: tokens with made-up key ids must not cost a query each. */
const LOAD_PAUSE_MS = 1_000;

/** What an access token says. It is a claim about the past: whether the session still stands is the database's to say. */
export interface AccessClaims {
  readonly customerId: string;
  readonly sessionId: string;
  readonly isOperator: boolean;
  /** The operator who looks through the customer's eyes; the session is then the operator's. */
  readonly impersonatedBy?: string;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** What an upstream is told of a call. */
export interface UpstreamClaims {
  readonly projectId: string;
  readonly keyId: string;
  readonly scopes: readonly string[];
  readonly billingAccountId: string;
  /** The API that is called; the audience, so one API's upstream cannot replay the token to another's. */
  readonly api: string;
}

/** What an upstream is asked to delete. */
export interface DataDeletionClaims {
  readonly projectId: string;
  /** The same at every attempt. */
  readonly deletionId: string;
  /** The API that is asked; the audience. */
  readonly api: string;
}

export interface TokenIssuerOptions extends SigningKeySource {
  readonly settings: Pick<ServiceSettings, "masterSecret" | "publicApiUrl">;
}

/** The context of verbs that sign people in. */
export interface TokenContext extends ServiceContext {
  readonly tokenIssuer: TokenIssuer;
}

export class TokenIssuer {
  readonly #options: TokenIssuerOptions;
  #loading: Promise<SigningKeySet> | undefined;
  #keys: SigningKeySet | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #loadedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  /** A token for one session of a customer. */
  async issueAccessToken(
    claims: Omit<AccessClaims, "expiresAtMs">,
  ): Promise<{ readonly accessToken: string; readonly expiresAt: Date }> {
    const now = this.#nowSeconds();
    const expires = now + ACCESS_TOKEN_SECONDS;
    // Who acts for whom: https://www.rfc-editor.org/rfc/rfc8693#section-4.1
    const act = claims.impersonatedBy === undefined ? {} : { act: { sub: claims.impersonatedBy } };
    const payload = { sid: claims.sessionId, op: claims.isOperator, ...act };
    const accessToken = await this.#sign(ACCESS_TYPE, this.#accessAudience, claims.customerId, payload, now, expires);
    return { accessToken, expiresAt: new Date(expires * 1_000) };
  }

  /** @throws TollgateError UNAUTHORIZED `invalid_token`, `token_expired` */
  async verifyAccessToken(token: string): Promise<AccessClaims> {
    const payload = await this.#verify(token);
    const { sub, sid, op, exp, act } = payload;
    const impersonatedBy = act === undefined ? undefined : (act as { sub?: unknown }).sub;
    const isActValid = act === undefined || (typeof impersonatedBy === "string" && op === false);
    if (!isActValid || sub === undefined || exp === undefined || typeof sid !== "string" || typeof op !== "boolean") {
      throw invalidToken();
    }
    const claims = { customerId: sub, sessionId: sid, isOperator: op, expiresAtMs: exp * 1_000 };
    return typeof impersonatedBy === "string" ? { ...claims, impersonatedBy } : claims;
  }

  /**
   * The token that goes with a call to an upstream; 60 s. Signing takes a few tenths of a millisecond, so a gateway keeps
   * the token of a key and API for a part of that time.
   */
  async signUpstreamToken(claims: UpstreamClaims): Promise<string> {
    const now = this.#nowSeconds();
    const payload = { key: claims.keyId, scopes: claims.scopes, billing_account: claims.billingAccountId };
    return this.#sign(UPSTREAM_TYPE, claims.api, claims.projectId, payload, now, now + UPSTREAM_TOKEN_SECONDS);
  }

  /** The token that goes with one request to delete a tenant's data; 60 s. Each has an id, so it can be refused a second time. */
  async signDataDeletionToken({ projectId, deletionId, api }: DataDeletionClaims): Promise<string> {
    const now = this.#nowSeconds();
    const payload = { deletion: deletionId, jti: newId("request") };
    return this.#sign(DATA_DELETION_TYPE, api, projectId, payload, now, now + UPSTREAM_TOKEN_SECONDS);
  }

  /** The document at `/.well-known/jwks.json` (RFC 7517). */
  async getJwks(): Promise<{ readonly keys: readonly JWK[] }> {
    const { accepted } = await this.#requireKeys();
    return { keys: [...accepted.values()].map((key) => key.publicJwk) };
  }

  get #accessAudience(): string {
    return this.#options.settings.publicApiUrl;
  }

  #nowSeconds(): number {
    return Math.floor(this.#options.clock.nowMs() / 1_000);
  }

  async #sign(
    type: string,
    audience: string,
    subject: string,
    payload: JWTPayload,
    issuedAt: number,
    expiresAt: number,
  ): Promise<string> {
    const { signing } = await this.#requireKeys();
    return new SignJWT(payload)
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid: signing.id, typ: type })
      .setIssuer(this.#options.settings.publicApiUrl)
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .sign(signing.privateKey);
  }

  async #verify(token: string): Promise<JWTPayload> {
    const keyId = readKeyId(token);
    const key = keyId === undefined ? undefined : await this.#findKey(keyId);
    if (key === undefined) throw invalidToken();
    try {
      const { payload } = await jwtVerify(token, key.publicKey, {
        algorithms: [SIGNING_ALGORITHM],
        typ: ACCESS_TYPE,
        issuer: this.#options.settings.publicApiUrl,
        audience: this.#accessAudience,
        currentDate: this.#options.clock.now(),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) {
        throw unauthorized("The access token has expired: refresh it", { reason: "token_expired" });
      }
      if (error instanceof errors.JOSEError) throw invalidToken(error);
      throw error;
    }
  }

  async #findKey(keyId: string): Promise<{ readonly publicKey: CryptoKey } | undefined> {
    const { accepted } = await this.#requireKeys();
    const known = accepted.get(keyId);
    if (known !== undefined) return known;
    if (this.#loading === undefined && !this.#mayLoad()) return undefined;
    return (await this.#load()).accepted.get(keyId);
  }

  async #requireKeys(): Promise<SigningKeySet> {
    const ageMs = this.#options.clock.nowMs() - this.#loadedAtMs;
    if (this.#keys === undefined || ageMs >= KEYS_USED_FOR_MS) return this.#load();
    if (ageMs >= KEYS_STALE_AFTER_MS && this.#mayLoad()) {
      // A database that is away does not stop calls: these keys are good for a while, and after that the error is thrown.
      this.#load().catch(() => undefined);
    }
    return this.#keys;
  }

  #mayLoad(): boolean {
    return this.#options.clock.nowMs() - this.#askedAtMs >= LOAD_PAUSE_MS;
  }

  /** Loads the keys; callers that come meanwhile wait for the same query. */
  #load(): Promise<SigningKeySet> {
    this.#loading ??= this.#loadOnce().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadOnce(): Promise<SigningKeySet> {
    const askedAtMs = this.#options.clock.nowMs();
    this.#askedAtMs = askedAtMs;
    this.#keys = await loadSigningKeySet(this.#options);
    this.#loadedAtMs = askedAtMs;
    return this.#keys;
  }
}

/** The issuer of a process. Keys are loaded at the first use. */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  return new TokenIssuer(options);
}

function readKeyId(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid;
  } catch {
    // Not even the form of a token: there is no key to look for.
    return undefined;
  }
}

function invalidToken(cause?: unknown): TollgateError {
  return unauthorized("The access token is not valid", { reason: "invalid_token", cause });
}
