import type { OauthStarted, startOauthInput } from "@tollgate/contracts";
import type { z } from "zod";
import type { OauthVerb } from "./oauthProviders.ts";
import { startState } from "./states.ts";

/**
 * Where to send the browser to sign in with a provider. @throws TollgateError NOT_FOUND `provider_not_found`; BAD_REQUEST
 * for a page to return to that is not ours; BAD_GATEWAY, GATEWAY_TIMEOUT
 */
export async function startOauth({ ctx, input }: OauthVerb<z.output<typeof startOauthInput>>): Promise<OauthStarted> {
  return startState(ctx, input, null);
}
