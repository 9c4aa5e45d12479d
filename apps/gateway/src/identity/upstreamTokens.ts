import type { Clock } from "@tollgate/kernel";
import type { TokenIssuer } from "@tollgate/services/customers";
import type { Caller, UpstreamToken } from "./caller.ts";

/** Signs the token that goes with a caller's calls to an API's upstream, and keeps it with the caller. */
export const upstreamTokenSigner =
  (issuer: TokenIssuer, clock: Clock) =>
  async (caller: Caller, api: string): Promise<UpstreamToken> => {
    const signedAtMs = clock.nowMs();
    const { record } = caller;
    const text = await issuer.signUpstreamToken({
      projectId: record.project.id,
      keyId: record.keyId,
      scopes: record.scopes,
      billingAccountId: record.billingAccount.id,
      api,
    });
    const token = { authorization: `Bearer ${text}`, signedAtMs };
    caller.keepToken(api, token);
    return token;
  };
