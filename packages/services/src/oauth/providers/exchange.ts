import type { TollgateError } from "@tollgate/kernel";
import { badRequest, TollgateError as Failure } from "@tollgate/kernel";
import type { Configuration } from "openid-client";
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientError,
  calculatePKCECodeChallenge,
  ResponseBodyError,
} from "openid-client";
import type { ExchangeSecrets, ProviderRegistration } from "./provider.ts";

/** The authorization code grant (RFC 6749, 4.1) with PKCE S256, as it is the same with every provider. */
export async function buildUrl(
  config: Configuration,
  registration: ProviderRegistration,
  secrets: ExchangeSecrets,
  parameters: Readonly<Record<string, string>>,
): Promise<string> {
  return buildAuthorizationUrl(config, {
    ...parameters,
    redirect_uri: registration.redirectUri,
    state: secrets.state,
    code_challenge: await calculatePKCECodeChallenge(secrets.codeVerifier),
    code_challenge_method: "S256",
  }).href;
}

/**
 * Trades a code for tokens. The answer's `iss` (RFC 9207) does not come this far and need not: it tells providers apart,
 * and here each has a redirect URI and states of its own (RFC 9700, 4.4.2.2).
 */
export async function exchangeCode(
  config: Configuration,
  registration: ProviderRegistration,
  code: string,
  secrets: ExchangeSecrets,
  checks: { readonly expectedNonce?: string; readonly idTokenExpected?: boolean } = {},
): ReturnType<typeof authorizationCodeGrant> {
  const answer = new URL(registration.redirectUri);
  answer.searchParams.set("code", code);
  answer.searchParams.set("state", secrets.state);
  const metadata = config.serverMetadata();
  if (metadata.authorization_response_iss_parameter_supported === true) {
    answer.searchParams.set("iss", metadata.issuer);
  }
  return authorizationCodeGrant(config, answer, {
    ...checks,
    expectedState: secrets.state,
    pkceCodeVerifier: secrets.codeVerifier,
  });
}

/** What providers answer to a code that was used, is too old, or was never theirs. */
const CODE_REFUSED = new Set(["invalid_grant", "bad_verification_code", "incorrect_client_credentials_for_code"]);

/**
 * A provider's failure as ours: BAD_REQUEST `invalid_code`, GATEWAY_TIMEOUT `provider_timeout`, or BAD_GATEWAY
 * `provider_failed` for everything that the person can do nothing about.
 */
export function toProviderError(cause: unknown): TollgateError {
  if (cause instanceof Failure) return cause;
  if (cause instanceof ResponseBodyError && CODE_REFUSED.has(cause.error)) {
    const message = "Was used, has expired or is not of this sign-in: start again";
    return badRequest(`code: ${message}`, { reason: "invalid_code", issues: [{ path: "code", message }], cause });
  }
  if (isTimeout(cause)) {
    return new Failure("GATEWAY_TIMEOUT", "The provider took too long: try again", {
      reason: "provider_timeout",
      cause,
    });
  }
  return new Failure("BAD_GATEWAY", "The provider could not be asked who you are: try again", {
    reason: "provider_failed",
    cause,
  });
}

function isTimeout(thrown: unknown): boolean {
  for (let current = thrown; current instanceof Error; current = current.cause) {
    if (current.name === "TimeoutError" || (current instanceof ClientError && current.code === "OAUTH_TIMEOUT")) {
      return true;
    }
  }
  return false;
}
