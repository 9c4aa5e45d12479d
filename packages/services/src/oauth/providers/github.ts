import {
  allowInsecureRequests,
  ClientSecretPost,
  Configuration,
  customFetch,
  fetchProtectedResource,
} from "openid-client";
import { z } from "zod";
import { buildUrl, exchangeCode } from "./exchange.ts";
import type { ProviderDefinition, ProviderProfile, ProviderRegistration } from "./provider.ts";

/**
 * GitHub, by plain OAuth 2: who it is and which of their addresses are proven is asked for with the token.
 * https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 */
const SCOPE = "read:user user:email";
const PUBLIC_GITHUB = "https://github.com";

const userSchema = z.object({ id: z.union([z.int(), z.string()]), name: z.string().nullish() });
const emailsSchema = z.array(
  z.object({ email: z.string().toLowerCase(), primary: z.boolean(), verified: z.boolean() }),
);

export const github: ProviderDefinition = {
  name: "github",
  connect(registration) {
    const config = configure(registration);
    return {
      authorizationUrl: (secrets) => buildUrl(config, registration, secrets, { scope: SCOPE }),
      readProfile: async (code, secrets) => {
        const { access_token: token } = await exchangeCode(config, registration, code, secrets);
        const [user, emails] = await Promise.all([
          read(config, registration, token, "/user").then((body) => userSchema.parse(body)),
          read(config, registration, token, "/user/emails").then((body) => emailsSchema.parse(body)),
        ]);
        return toProfile(user, emails);
      },
    };
  },
};

function configure(registration: ProviderRegistration): Configuration {
  const { baseUrl, clientId, clientSecret } = registration;
  const metadata = {
    issuer: baseUrl,
    authorization_endpoint: `${baseUrl}/login/oauth/authorize`,
    token_endpoint: `${baseUrl}/login/oauth/access_token`,
  };
  const config = new Configuration(metadata, clientId, { client_secret: clientSecret }, ClientSecretPost(clientSecret));
  config.timeout = registration.timeoutMs / 1_000;
  config[customFetch] = async (url, options) => tellError(await fetch(url, options as RequestInit));
  // Only a stand-in on this machine is without TLS.
  if (new URL(baseUrl).protocol === "http:") allowInsecureRequests(config);
  return config;
}

/** GitHub answers 200 to a code that it refuses, with the error in the body; elsewhere that is a 400 (RFC 6749, 5.2). */
async function tellError(response: Response): Promise<Response> {
  if (response.status !== 200 || !response.headers.get("content-type")?.includes("application/json")) return response;
  const text = await response.text();
  const body: unknown = JSON.parse(text);
  const isError = typeof body === "object" && body !== null && "error" in body;
  const headers = { "content-type": "application/json" };
  return new Response(text, { status: isError ? 400 : 200, headers });
}

/** GitHub Enterprise has its API under the same host. */
const apiUrl = ({ baseUrl }: ProviderRegistration): string =>
  baseUrl === PUBLIC_GITHUB ? "https://api.github.com" : `${baseUrl}/api/v3`;

async function read(
  config: Configuration,
  registration: ProviderRegistration,
  token: string,
  path: string,
): Promise<unknown> {
  const headers = new Headers({ accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" });
  const url = new URL(apiUrl(registration) + path);
  const response = await fetchProtectedResource(config, token, url, "GET", null, headers);
  if (!response.ok) throw new Error(`GitHub answered ${response.status} to ${path}`);
  return response.json();
}

/** The address that the person calls their first, if it is proven, or else any that is. */
function toProfile(user: z.output<typeof userSchema>, emails: z.output<typeof emailsSchema>): ProviderProfile {
  const proven = emails.filter((email) => email.verified);
  const chosen = proven.find((email) => email.primary) ?? proven[0] ?? emails.find((email) => email.primary);
  return {
    subject: String(user.id),
    email: chosen?.email,
    isEmailVerified: chosen?.verified ?? false,
    name: user.name ?? undefined,
  };
}
