import type { KeyObject } from "node:crypto";
import { createSign, generateKeyPairSync } from "node:crypto";
import type { Grant } from "./grants.ts";
import type { StandInKind } from "./startStandIn.ts";

const KEY_ID = "stand-in";
const ID_TOKEN_SECONDS = 3_600;

/** Google: OpenID Connect with discovery, keys, an ID token signed with RS256, and user info. */
export function createGoogle(): StandInKind {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: KEY_ID, use: "sig", alg: "RS256" }] };
  return {
    name: "Google",
    clientId: "google-stand-in",
    authorizePath: "/o/oauth2/v2/auth",
    tokenPath: "/token",
    routes: {
      "/.well-known/openid-configuration": ({ url }) => ({
        issuer: url,
        authorization_endpoint: `${url}/o/oauth2/v2/auth`,
        token_endpoint: `${url}/token`,
        userinfo_endpoint: `${url}/userinfo`,
        jwks_uri: `${url}/certs`,
        response_types_supported: ["code"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
        scopes_supported: ["openid", "email", "profile"],
        token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
        code_challenge_methods_supported: ["plain", "S256"],
      }),
      "/certs": () => jwks,
      "/userinfo": ({ person }) =>
        person === undefined
          ? undefined
          : { sub: person.subject, email: person.email, email_verified: person.isEmailVerified, name: person.name },
    },
    answerToken: ({ grant, accessToken, url, fault }) => ({
      access_token: accessToken,
      token_type: "Bearer",
      expires_in: ID_TOKEN_SECONDS,
      scope: "openid email profile",
      id_token: signIdToken(privateKey, grant, url, fault === "forged token"),
    }),
    refuseToken: () => ({ status: 400, body: { error: "invalid_grant", error_description: "Bad Request" } }),
  };
}

function signIdToken(key: KeyObject, grant: Grant, issuer: string, isForged: boolean): string {
  const { person } = grant;
  const issuedAt = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: issuer,
    aud: grant.clientId,
    azp: grant.clientId,
    sub: person.subject,
    email: person.email,
    email_verified: person.isEmailVerified,
    name: person.name,
    nonce: grant.nonce,
    iat: issuedAt,
    exp: issuedAt + ID_TOKEN_SECONDS,
  };
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: "RS256", typ: "JWT", kid: KEY_ID })}.${encode(claims)}`;
  // A signature of other words is what somebody has who saw one token and wrote another.
  const signature = createSign("RSA-SHA256")
    .update(isForged ? KEY_ID : signed)
    .sign(key);
  return `${signed}.${signature.toString("base64url")}`;
}
