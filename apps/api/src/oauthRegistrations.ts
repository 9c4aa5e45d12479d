import type { OauthProvider } from "@tollgate/contracts";
import type { OauthProviders, OauthProvidersOptions } from "@tollgate/services/oauth";
import { createOauthProviders } from "@tollgate/services/oauth";
import type { ApiEnv } from "./env.ts";

/** The providers that the environment has registrations for. A provider needs both an id and a secret. */
export function oauthProvidersOf(env: ApiEnv): OauthProviders {
  const registrations: OauthProvidersOptions["registrations"] = {
    ...registrationOf("google", env.GOOGLE_CLIENT_ID, env.GOOGLE_CLIENT_SECRET, env.GOOGLE_ISSUER),
    ...registrationOf("github", env.GITHUB_CLIENT_ID, env.GITHUB_CLIENT_SECRET, env.GITHUB_BASE_URL),
  };
  const frontEnds = [env.PUBLIC_WEB_URL ?? env.PUBLIC_API_URL, ...env.CORS_ORIGINS];
  return createOauthProviders({
    registrations,
    publicApiUrl: env.PUBLIC_API_URL,
    returnOrigins: frontEnds.map((url) => new URL(url).origin),
    allowsLocalhost: env.NODE_ENV === "development",
  });
}

function registrationOf(
  provider: OauthProvider,
  clientId: string | undefined,
  clientSecret: string | undefined,
  baseUrl: string,
): OauthProvidersOptions["registrations"] {
  return clientId === undefined || clientSecret === undefined
    ? {}
    : { [provider]: { clientId, clientSecret, baseUrl } };
}
