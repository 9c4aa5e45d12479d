import { createHash } from "node:crypto";
import type { Grants, StandInPerson } from "./grants.ts";

/** What the authorization endpoint answers: a page, or where the browser goes next. */
export type Authorization =
  | { readonly kind: "page" }
  | { readonly kind: "redirect"; readonly to: string }
  | { readonly kind: "refused"; readonly message: string };

/**
 * The authorization endpoint (RFC 6749, 4.1.1), the same for all stand-ins. With `as=<address>` in the query it does what
 * the page would do: `unverified=1` and `deny=1` are its other fields.
 */
export function authorize(query: URLSearchParams, clientId: string, grants: Grants): Authorization {
  const redirectUri = query.get("redirect_uri");
  const codeChallenge = query.get("code_challenge");
  if (query.get("client_id") !== clientId) return { kind: "refused", message: "Unknown client_id" };
  if (redirectUri === null || !URL.canParse(redirectUri)) return { kind: "refused", message: "redirect_uri is needed" };
  if (query.get("response_type") !== "code") return { kind: "refused", message: "response_type must be code" };
  if (codeChallenge === null || query.get("code_challenge_method") !== "S256") {
    return { kind: "refused", message: "PKCE with S256 is needed" };
  }
  const email = query.get("as");
  if (email === null) return { kind: "page" };
  const to = new URL(redirectUri);
  to.searchParams.set("state", query.get("state") ?? "");
  if (query.get("deny") === "1") {
    to.searchParams.set("error", "access_denied");
    return { kind: "redirect", to: to.href };
  }
  const person = personOf(email, query.get("unverified") !== "1", query.get("subject"));
  const nonce = query.get("nonce") ?? undefined;
  to.searchParams.set("code", grants.issueCode({ person, clientId, redirectUri, codeChallenge, nonce }));
  return { kind: "redirect", to: to.href };
}

/** The same address is the same account, unless another is asked for: people change their addresses. */
function personOf(email: string, isEmailVerified: boolean, subject: string | null): StandInPerson {
  const number = createHash("sha256").update(email.toLowerCase()).digest().readUIntBE(0, 6);
  const [name = email] = email.split("@");
  return { subject: subject ?? String(number), email, isEmailVerified, name };
}

/** The parameters that the page's form carries on; its own fields are not among them. */
export function carriedParameters(query: URLSearchParams): URLSearchParams {
  const carried = new URLSearchParams(query);
  for (const own of ["as", "unverified", "deny", "subject"]) carried.delete(own);
  return carried;
}
