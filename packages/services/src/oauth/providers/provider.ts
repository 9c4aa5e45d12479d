import type { OauthProvider } from "@tollgate/contracts";

/** What a provider says of the person who signed in there. */
export interface ProviderProfile {
  /** The account's id at the provider; it never changes. */
  readonly subject: string;
  /** Their address, lower-cased; undefined when the provider shows none. */
  readonly email: string | undefined;
  /** Whether the provider has proof that the address is theirs. */
  readonly isEmailVerified: boolean;
  readonly name: string | undefined;
}

/** What ties an answer of a provider to the question: `state` (RFC 6749), PKCE (RFC 7636) and the nonce of OpenID Connect. */
export interface ExchangeSecrets {
  readonly state: string;
  readonly codeVerifier: string;
  readonly nonce: string;
}

/** One provider, ready to use. */
export interface ProviderClient {
  /** Where to send the browser. @throws what {@link toProviderError} explains */
  authorizationUrl(secrets: ExchangeSecrets): Promise<string>;
  /** Trades the code for who it is. @throws what {@link toProviderError} explains */
  readProfile(code: string, secrets: ExchangeSecrets): Promise<ProviderProfile>;
}

/** The deployment's registration at a provider. */
export interface ProviderRegistration {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Where the provider is, without a trailing slash. */
  readonly baseUrl: string;
  /** Where the provider sends the browser back to, as it was registered there. */
  readonly redirectUri: string;
  /** How long one request to the provider may take. */
  readonly timeoutMs: number;
}

/** A kind of provider: adding one is a file that exports this, and its line in the table. */
export interface ProviderDefinition {
  readonly name: OauthProvider;
  connect(registration: ProviderRegistration): ProviderClient;
}
