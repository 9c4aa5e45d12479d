import type { Actor } from "@tollgate/kernel";
import type { ConfigContext } from "@tollgate/services/admin";
import type { VerifyContext } from "@tollgate/services/keys";
import type { OauthContext } from "@tollgate/services/oauth";
import type { PaymentsContext } from "@tollgate/services/payments";
import type { LiveContext } from "./live.ts";

/**
 * The outer context: what one request brings, before anybody knows who is calling. Making it costs next to nothing and
 * cannot fail, so every error of a request can name the request. Procedures that need a caller ask for one; public ones
 * never pay for that, and a stale token does not keep its owner from signing in again.
 */
export interface RequestContext extends OauthContext, ConfigContext, LiveContext, PaymentsContext, VerifyContext {
  /**
   * Who sent the request: from its bearer token, once a request. Anonymous without one.
   * @throws TollgateError UNAUTHORIZED for a token that is not valid (any more)
   */
  authenticate(): Promise<Actor>;
}
