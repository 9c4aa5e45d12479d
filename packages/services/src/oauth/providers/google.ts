import type { Configuration } from "openid-client";
import { allowInsecureRequests, ClientSecretPost, discovery, enableNonRepudiationChecks } from "openid-client";
import { z } from "zod";
import { buildUrl, exchangeCode } from "./exchange.ts";
import type { ProviderDefinition, ProviderProfile, ProviderRegistration } from "./provider.ts";

/**
 * Google, by OpenID Connect: who it is stands in the signed ID token, so nothing more is asked for.
 * https://developers.google.com/identity/openid-connect/openid-connect
 */
const SCOPE = "openid email profile";

const claimsSchema = z.object({
  sub: z.string().min(1).max(255),
  email: z.string().toLowerCase().pipe(z.email()).optional(),
  email_verified: z.union([z.boolean(), z.stringbool()]).default(false),
  name: z.string().optional(),
});

export const google: ProviderDefinition = {
  name: "google",
  connect(registration) {
    const configure = rememberSuccess(() => discover(registration));
    return {
      authorizationUrl: async (secrets) =>
        buildUrl(await configure(), registration, secrets, {
          scope: SCOPE,
          nonce: secrets.nonce,
          prompt: "select_account",
        }),
      readProfile: async (code, secrets) => {
        const checks = { expectedNonce: secrets.nonce, idTokenExpected: true };
        const tokens = await exchangeCode(await configure(), registration, code, secrets, checks);
        return toProfile(claimsSchema.parse(tokens.claims()));
      },
    };
  },
};

function discover(registration: ProviderRegistration): Promise<Configuration> {
  const issuer = new URL(registration.baseUrl);
  return discovery(
    issuer,
    registration.clientId,
    { client_secret: registration.clientSecret },
    ClientSecretPost(registration.clientSecret),
    {
      timeout: registration.timeoutMs / 1_000,
      execute: [
        // The ID token comes straight from Google; its signature is checked all the same, in case something is in between.
        enableNonRepudiationChecks,
        // Only a stand-in on this machine is without TLS.
        ...(issuer.protocol === "http:" ? [allowInsecureRequests] : []),
      ],
    },
  );
}

/** The provider's metadata and keys are looked up once a process; a look-up that failed is made again. */
function rememberSuccess<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => {
    if (made === undefined) {
      made = make();
      made.catch(() => {
        made = undefined;
      });
    }
    return made;
  };
}

const toProfile = (claims: z.output<typeof claimsSchema>): ProviderProfile => ({
  subject: claims.sub,
  email: claims.email,
  isEmailVerified: claims.email_verified,
  name: claims.name,
});
