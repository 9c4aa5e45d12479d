import type { OauthStarted, startOauthInput } from "@tollgate/contracts";
import type { z } from "zod";
import { requireCustomer } from "../permissions.ts";
import type { OauthVerb } from "./oauthProviders.ts";
import { startState } from "./states.ts";

/**
 * Where to send the browser of a signed-in customer to add a provider as a way to sign in; `complete` then does it. The
 * address there may be another than here. @throws TollgateError UNAUTHORIZED, and what `start` throws
 */
export async function linkOauth({ ctx, input }: OauthVerb<z.output<typeof startOauthInput>>): Promise<OauthStarted> {
  const { customerId } = requireCustomer(ctx);
  return startState(ctx, input, customerId);
}
