import { createHash, timingSafeEqual } from "node:crypto";
import { randomBase62 } from "@tollgate/kernel";

/** Who signs in at a stand-in. */
export interface StandInPerson {
  readonly subject: string;
  readonly email: string;
  readonly isEmailVerified: boolean;
  readonly name: string;
}

/** What somebody has agreed to, on its way from the consent page to a token. */
export interface Grant {
  readonly person: StandInPerson;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly nonce: string | undefined;
}

/** What a client sends to trade a code. */
export interface TokenRequest {
  readonly code: string | null;
  readonly clientId: string | null;
  readonly clientSecret: string | null;
  readonly redirectUri: string | null;
  readonly codeVerifier: string | null;
}

/**
 * Codes and tokens of one stand-in. It is as strict as the real ones: a code is good once, for the client and the redirect
 * URI that it was made for, and for who knows the PKCE verifier (RFC 7636, 4.6).
 */
export class Grants {
  readonly #clientSecret: string;
  readonly #codes = new Map<string, Grant>();
  readonly #tokens = new Map<string, StandInPerson>();

  constructor(clientSecret: string) {
    this.#clientSecret = clientSecret;
  }

  issueCode(grant: Grant): string {
    const code = randomBase62(24);
    this.#codes.set(code, grant);
    return code;
  }

  /** @returns undefined for a code that is not good, or a client that is not who it says */
  redeem(request: TokenRequest): { readonly grant: Grant; readonly accessToken: string } | undefined {
    const grant = this.#codes.get(request.code ?? "");
    if (grant === undefined) return undefined;
    this.#codes.delete(request.code ?? "");
    const isGood =
      request.clientId === grant.clientId &&
      request.redirectUri === grant.redirectUri &&
      isSame(request.clientSecret ?? "", this.#clientSecret) &&
      challengeOf(request.codeVerifier ?? "") === grant.codeChallenge;
    if (!isGood) return undefined;
    const accessToken = randomBase62(40);
    this.#tokens.set(accessToken, grant.person);
    return { grant, accessToken };
  }

  /** Who an `Authorization` header with a token speaks for. */
  findPerson(authorization: string | undefined): StandInPerson | undefined {
    return this.#tokens.get(authorization?.replace(/^(?:Bearer|token) /i, "") ?? "");
  }
}

const challengeOf = (verifier: string): string => createHash("sha256").update(verifier).digest("base64url");

function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
