import type { Keyring, Logger } from "@tollgate/kernel";
import { groupBy } from "@tollgate/kernel";
import type { UpstreamSecret } from "@tollgate/services/admin";
import { openUpstreamSecret } from "@tollgate/services/admin";

/** Where the gateway's token goes when the upstream wants a credential of its own in `Authorization`. */
const TOKEN_HEADER_BESIDE = "tollgate-authorization";

/**
 * What the gateway adds to every request to an API's upstream, so that the upstream's own credentials are known to no
 * caller. Prepared once: adding it to a call is a loop over its headers.
 */
export class UpstreamCredentials {
  /** One of the credentials could not be opened: the API cannot be called, because its upstream would not know us. */
  readonly isSealed: boolean;
  /** Where the gateway's token goes. */
  readonly tokenHeader: string;
  readonly #headers: readonly string[];
  readonly #headerNames: ReadonlySet<string>;
  readonly #query: string;
  readonly #queryNames: ReadonlySet<string>;

  constructor(opened: readonly (Pick<UpstreamSecret, "placement" | "name"> & { readonly value: string })[] | "sealed") {
    this.isSealed = opened === "sealed";
    const all = opened === "sealed" ? [] : opened;
    const inHeaders = all.filter(({ placement }) => placement === "header");
    const inQuery = all.filter(({ placement }) => placement === "query");
    this.#headers = inHeaders.flatMap(({ name, value }) => [name, value]);
    this.#headerNames = new Set(inHeaders.map(({ name }) => name));
    this.#query = inQuery
      .map(({ name, value }) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
      .join("&");
    this.#queryNames = new Set(inQuery.map(({ name }) => name.toLowerCase()));
    this.tokenHeader = this.#headerNames.has("authorization") ? TOKEN_HEADER_BESIDE : "authorization";
  }

  /** The caller's headers with the upstream's in place of any of the same names. */
  addToHeaders(headers: readonly string[]): string[] {
    const added: string[] = [];
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] as string;
      if (!this.#headerNames.has(name.toLowerCase())) added.push(name, headers[index + 1] as string);
    }
    added.push(...this.#headers);
    return added;
  }

  /** The path with the upstream's parameters in place of any of the same names: an upstream may read the first of two. */
  addToPath(path: string): string {
    if (this.#query === "") return path;
    const question = path.indexOf("?");
    const pathname = question === -1 ? path : path.slice(0, question);
    const given = question === -1 ? [] : path.slice(question + 1).split("&");
    const kept = given.filter((pair) => pair !== "" && !this.#queryNames.has(parameterName(pair)));
    return `${pathname}?${[...kept, this.#query].join("&")}`;
  }
}

function parameterName(pair: string): string {
  const name = (pair.split("=", 1)[0] ?? "").replaceAll("+", " ");
  try {
    return decodeURIComponent(name).toLowerCase();
  } catch {
    // Not valid percent-encoding: it is no name of ours.
    return name.toLowerCase();
  }
}

/** The credentials of each API that has some, by the API's id. */
export function openCredentials(
  keyring: Keyring,
  secrets: readonly UpstreamSecret[],
  logger: Logger,
): ReadonlyMap<string, UpstreamCredentials> {
  const credentials = new Map<string, UpstreamCredentials>();
  for (const [apiId, ofApi] of groupBy(secrets, (secret) => secret.apiId)) {
    try {
      const opened = ofApi.map((secret) => ({ ...secret, value: openUpstreamSecret(keyring, secret) }));
      credentials.set(apiId, new UpstreamCredentials(opened));
    } catch (error) {
      logger.error({ err: error, apiId }, "a credential cannot be opened; its API is not called");
      credentials.set(apiId, new UpstreamCredentials("sealed"));
    }
  }
  return credentials;
}
