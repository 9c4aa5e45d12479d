import type { OauthProvider } from "@tollgate/contracts";
import { badRequest, notFound } from "@tollgate/kernel";
import type { TokenContext } from "../customers/tokenIssuer.ts";
import { PROVIDERS } from "./providers/index.ts";
import type { ProviderClient } from "./providers/provider.ts";

/** The context of verbs that deal with providers. */
export interface OauthContext extends TokenContext {
  readonly oauthProviders: OauthProviders;
  /**
   * Whether a page in a browser sent the request, which browsers say in headers that no page can suppress. Only a browser
   * can be lured into finishing a sign-in that somebody else began.
   */
  readonly isFromBrowser: boolean;
}

export interface OauthVerb<Input> {
  readonly ctx: OauthContext;
  readonly input: Input;
}

export interface OauthProvidersOptions {
  /** The deployment's registrations; a provider without one cannot be signed in with. */
  readonly registrations: Partial<
    Record<OauthProvider, { readonly clientId: string; readonly clientSecret: string; readonly baseUrl: string }>
  >;
  readonly publicApiUrl: string;
  /** Where browsers may be sent back to: the origins of the front ends. */
  readonly returnOrigins: readonly string[];
  /** In development also pages of this machine. */
  readonly allowsLocalhost: boolean;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;
const LOCAL_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Where a provider sends browsers back to: what to register there as the redirect URI. */
export const redirectUriOf = (publicApiUrl: string, provider: OauthProvider): string =>
  `${publicApiUrl}/oauth/callback/${provider}`;

/** The providers of a deployment. One per process; it remembers what the providers say of themselves. */
export class OauthProviders {
  readonly #clients: ReadonlyMap<OauthProvider, ProviderClient>;
  readonly #options: OauthProvidersOptions;

  constructor(options: OauthProvidersOptions) {
    this.#options = options;
    const clients = new Map<OauthProvider, ProviderClient>();
    for (const { name, connect } of Object.values(PROVIDERS)) {
      const registration = options.registrations[name];
      if (registration === undefined) continue;
      const redirectUri = redirectUriOf(options.publicApiUrl, name);
      clients.set(name, connect({ ...registration, redirectUri, timeoutMs: options.timeoutMs ?? TIMEOUT_MS }));
    }
    this.#clients = clients;
  }

  /** @throws TollgateError NOT_FOUND `provider_not_found` for one that the operator has not set up */
  get(name: OauthProvider): ProviderClient {
    const client = this.#clients.get(name);
    if (client === undefined) throw notFound("provider");
    return client;
  }

  /** @throws TollgateError BAD_REQUEST for a page of anybody else: it would be handed a code */
  assertMayReturnTo(redirectTo: string): void {
    const url = new URL(redirectTo);
    const isLocal = this.#options.allowsLocalhost && LOCAL_HOSTS.has(url.hostname);
    if (this.#options.returnOrigins.includes(url.origin) || isLocal) return;
    const message = "Must be a page of one of this deployment's front ends";
    throw badRequest(`redirectTo: ${message}`, { issues: [{ path: "redirectTo", message }] });
  }
}

export function createOauthProviders(options: OauthProvidersOptions): OauthProviders {
  return new OauthProviders(options);
}
