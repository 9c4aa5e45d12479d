import { z } from "zod";
import { sessionTokensDto } from "./customers.ts";
import { defineEvent, defineJob } from "./definitions.ts";

/** Whom people can sign in with besides a password. */
export const oauthProvider = z.enum(["google", "github"]);
export type OauthProvider = z.infer<typeof oauthProvider>;

export const startOauthInput = z.object({
  provider: oauthProvider,
  /** The page that the browser comes back to, with `provider`, `code` and `state` (or `error`) in its query. */
  redirectTo: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .optional(),
});
export const oauthStartedDto = z.object({
  /** Where to send the browser. */
  url: z.string(),
  /**
   * What binds the sign-in to the one who started it: a page keeps it (in sessionStorage) and gives it back to `complete`.
   * It is not in any URL, so whoever sees those cannot finish the sign-in.
   */
  binding: z.string(),
  expiresAt: z.date(),
});
export type OauthStarted = z.infer<typeof oauthStartedDto>;

export const completeOauthInput = z.object({
  provider: oauthProvider,
  code: z.string().min(1).max(2_000),
  state: z.string().min(1).max(200),
  /** From the answer to `start`. A browser has to give it; a program may. */
  binding: z.string().min(1).max(200).optional(),
});
export const oauthSignedInDto = sessionTokensDto.extend({ isSignup: z.boolean() });
export type OauthSignedIn = z.infer<typeof oauthSignedInDto>;

export const unlinkOauthInput = z.object({ provider: oauthProvider });
export const oauthIdentityDto = z.object({
  provider: oauthProvider,
  /** The address at the provider. */
  email: z.string(),
  createdAt: z.date(),
  lastUsedAt: z.date(),
});
export type OauthIdentity = z.infer<typeof oauthIdentityDto>;
export const oauthIdentityList = z.object({
  items: z.array(oauthIdentityDto),
  /** Whether a password is a further way to sign in. */
  hasPassword: z.boolean(),
});
export type OauthIdentityList = z.infer<typeof oauthIdentityList>;

const identityEventData = z.object({ customerId: z.string(), provider: oauthProvider });
export const oauthLinked = defineEvent("oauth.linked", identityEventData);
export const oauthUnlinked = defineEvent("oauth.unlinked", identityEventData);

/** Forgets sign-ins that were started and not finished in time. */
export const oauthSweep = defineJob({
  name: "oauth.sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});
