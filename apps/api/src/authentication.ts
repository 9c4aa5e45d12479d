import { createHash, timingSafeEqual } from "node:crypto";
import { unauthorized } from "@tollgate/kernel";

/** Recognises services by their tokens, kept as digests. */
export class ServiceTokens {
  readonly #services: readonly { readonly name: string; readonly digest: Buffer }[];

  constructor(tokens: ReadonlyMap<string, string>) {
    this.#services = [...tokens].map(([name, token]) => ({ name, digest: sha256(token) }));
  }

  /** The service whose token this is. Takes as long for a wrong token as for a right one. */
  find(token: string): string | undefined {
    const digest = sha256(token);
    let found: string | undefined;
    for (const service of this.#services) {
      if (timingSafeEqual(service.digest, digest)) found = service.name;
    }
    return found;
  }
}

/** The token of an `Authorization: Bearer` header (RFC 6750). @throws TollgateError UNAUTHORIZED for any other scheme */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const match = /^Bearer +([^\s]{1,8192})$/i.exec(authorization);
  if (match?.[1] === undefined) {
    throw unauthorized("The Authorization header must be of the form: Bearer TOKEN", {
      reason: "invalid_authorization",
    });
  }
  return match[1];
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
