import type { IncomingHttpHeaders } from "node:http";
import { unauthorized, unavailable } from "@tollgate/kernel";
import type { JWTPayload } from "jose";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

export interface GatewayVerifierOptions {
  /** The control plane's public keys: `<apiUrl>/.well-known/jwks.json`. Fetched on first use and again when a key is new. */
  readonly jwksUrl: string;
  /** Required in the token's `aud` if given. */
  readonly audience?: string;
  /** Required in the token's `iss` if given. */
  readonly issuer?: string;
}

/** On whose behalf the gateway calls. */
export interface GatewayCaller {
  readonly projectId: string;
  readonly keyId: string;
  readonly billingAccountId: string;
  readonly scopes: readonly string[];
  /** From the token, or else from the `Tollgate-Call-Id` header, which is not signed; null without either. */
  readonly callId: string | null;
}

/** @throws TollgateError UNAUTHORIZED if the token is missing or not the gateway's, UNAVAILABLE if the keys cannot be fetched */
export type GatewayVerifier = (headers: IncomingHttpHeaders) => Promise<GatewayCaller>;

/** Clocks of gateway and upstream may differ by this much. */
export const CLOCK_TOLERANCE_SECONDS = 5;
export const SIGNATURE_CHECKS = { algorithms: ["EdDSA", "Ed25519"], clockTolerance: CLOCK_TOLERANCE_SECONDS };

/**
 * Makes the check that a request came through the gateway: a JWT (RFC 7519) signed with Ed25519 in
 * `Authorization: Bearer` (or `Tollgate-Authorization`, see {@link tokenHeader}), valid for a minute, verified against the published keys (RFC 7517) without a call per request.
 */
export function createGatewayVerifier(options: GatewayVerifierOptions): GatewayVerifier {
  const keys = createRemoteJWKSet(new URL(options.jwksUrl));
  const checks = {
    ...SIGNATURE_CHECKS,
    requiredClaims: ["sub", "exp"],
    ...(options.audience === undefined ? {} : { audience: options.audience }),
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
  };
  return async (headers) => {
    const token = /^Bearer +(\S+)$/i.exec(tokenHeader(headers))?.[1];
    if (token === undefined) throw unauthorized("This service is called through the gateway");
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys, checks));
    } catch (error) {
      if (isTokenFault(error)) throw unauthorized("Not a valid gateway token", { cause: error });
      throw unavailable("The gateway's keys cannot be fetched", { reason: "jwks_unavailable", cause: error });
    }
    return callerOf(payload, headers);
  };
}

/** Where the API has a credential of its own for `Authorization`, the gateway's token is beside it. No caller can set this. */
function tokenHeader(headers: IncomingHttpHeaders): string {
  const beside = headers["tollgate-authorization"];
  return typeof beside === "string" ? beside : (headers.authorization ?? "");
}

function callerOf(payload: JWTPayload, headers: IncomingHttpHeaders): GatewayCaller {
  const { sub, key, billing_account: billingAccount, scopes, call } = payload as Record<string, unknown>;
  const areScopesValid = Array.isArray(scopes) && scopes.every((scope): scope is string => typeof scope === "string");
  if (typeof sub !== "string" || typeof key !== "string" || typeof billingAccount !== "string" || !areScopesValid) {
    throw unauthorized("The gateway token does not say who calls");
  }
  const header = headers["tollgate-call-id"];
  const callId = typeof call === "string" ? call : typeof header === "string" ? header : null;
  return { projectId: sub, keyId: key, billingAccountId: billingAccount, scopes, callId };
}

/** Whether verification failed because of the token; anything else is a failure to get the keys. */
export function isTokenFault(error: unknown): boolean {
  return (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey
  );
}
