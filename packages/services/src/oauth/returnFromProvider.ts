import type { OauthProvider } from "@tollgate/contracts";
import { retryRead } from "@tollgate/db";
import type { Verb } from "../context.ts";
import { findState } from "./states.ts";

export interface ProviderAnswer {
  readonly provider: OauthProvider;
  readonly state: string;
  readonly code?: string | undefined;
  /** Why there is no code: `access_denied`, … */
  readonly error?: string | undefined;
}

/** The page of the dashboard that finishes sign-ins which named no page of their own. */
const DEFAULT_PAGE = "/oauth/return";

/**
 * Where a browser goes on to that comes back from a provider: to the page that the sign-in was started for, with what the
 * page needs to finish it. Nothing is finished here, and an answer to no question goes to the dashboard without its code.
 */
export async function returnFromProvider({ ctx, input }: Verb<ProviderAnswer>): Promise<string> {
  const { provider, state, code, error } = input;
  const row = await retryRead(() => findState(ctx, provider, state));
  const url = new URL(row?.redirectTo ?? ctx.settings.publicWebUrl + DEFAULT_PAGE);
  url.searchParams.set("provider", provider);
  if (row === undefined) url.searchParams.set("error", "invalid_state");
  else if (code === undefined) {
    url.searchParams.set("error", error !== undefined && /^[a-z_]{1,64}$/.test(error) ? error : "provider_failed");
  } else {
    url.searchParams.set("code", code);
    url.searchParams.set("state", state);
  }
  return url.href;
}
