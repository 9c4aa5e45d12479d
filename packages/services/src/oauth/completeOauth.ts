import type { completeOauthInput, OauthSignedIn } from "@tollgate/contracts";
import { withTransaction } from "@tollgate/db";
import { forbidden } from "@tollgate/kernel";
import type { z } from "zod";
import type { OpenedSession } from "../customers/sessions.ts";
import { issueTokens } from "../customers/sessions.ts";
import { linkIdentity } from "./linkIdentity.ts";
import type { OauthVerb } from "./oauthProviders.ts";
import { toProviderError } from "./providers/exchange.ts";
import { signInWith } from "./signInWith.ts";
import { takeState } from "./states.ts";

/** Who they are, with an address that the provider has proof of. */
export interface ProvenProfile {
  readonly subject: string;
  readonly email: string;
  readonly name: string | undefined;
}

/** A session, and whether it is a new customer's first. */
export interface SignedInBy {
  readonly session: OpenedSession;
  readonly isSignup: boolean;
}

/** Repetitions of one sign-up meet at one row. */
const ATTEMPTS_MAX = 40;

/**
 * Finishes what `start` or `link` began, with what the provider gave the browser: signs in whoever has the account there,
 * links it to the customer whose verified address it shows, or makes a new customer. Passwords are never touched.
 * @throws TollgateError BAD_REQUEST `invalid_state`, `invalid_code`; FORBIDDEN `email_not_verified` by the provider,
 * `customer_banned`; CONFLICT `email_not_verified_here`, `provider_linked`, `identity_taken`; BAD_GATEWAY
 * `provider_failed`; GATEWAY_TIMEOUT `provider_timeout`
 */
export async function completeOauth({
  ctx,
  input,
}: OauthVerb<z.output<typeof completeOauthInput>>): Promise<OauthSignedIn> {
  const provider = ctx.oauthProviders.get(input.provider);
  const { row, secrets } = await takeState(ctx, input);
  const profile = await provider.readProfile(input.code, secrets).catch((error: unknown) => {
    throw toProviderError(error);
  });
  const { email, subject, name } = profile;
  if (email === undefined || !profile.isEmailVerified) {
    throw forbidden("The provider has no proof of your email address: verify it there first", {
      reason: "email_not_verified",
    });
  }
  const proven: ProvenProfile = { subject, email, name };
  const { customerId } = row;
  const { session, isSignup } = await withTransaction(
    ctx,
    (ctx) =>
      customerId === null
        ? signInWith(ctx, input.provider, proven)
        : linkIdentity(ctx, input.provider, proven, customerId),
    { attemptsMax: ATTEMPTS_MAX },
  );
  return { ...(await issueTokens(ctx, session)), isSignup };
}
