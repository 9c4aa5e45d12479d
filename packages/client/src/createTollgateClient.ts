import type { AppRouter } from "@tollgate/routers";
import type { TRPCClient } from "@trpc/client";
import { createTRPCClient, httpBatchLink, httpSubscriptionLink, splitLink } from "@trpc/client";
import type { EventSourceLike } from "@trpc/server/unstable-core-do-not-import";
import { EventSource } from "eventsource";
import superjson from "superjson";

/** Browsers and servers limit the length of an address; a batch of queries travels in one. */
const URL_CHARACTERS_MAX = 4_000;

type HeaderRecord = Readonly<Record<string, string>>;

export interface TollgateClientOptions {
  /** Public address of the control plane, for example `https://api.example.com`. */
  readonly url: string;
  /** Access token, or service token, of every call. */
  readonly token?: string;
  /** Asked before every call, for tokens that are refreshed; undefined calls as a stranger. Goes before {@link token}. */
  readonly getToken?: () => string | undefined | Promise<string | undefined>;
  /** Sent with every call. */
  readonly headers?: HeaderRecord | (() => HeaderRecord | Promise<HeaderRecord>);
  /** Instead of that of the package `eventsource`, which sends headers where a browser's own cannot. For tests. */
  readonly EventSource?: EventSourceLike.AnyConstructor;
  /** Instead of the global one; for tests and for runtimes that have none. */
  readonly fetch?: typeof globalThis.fetch;
}

export type TollgateClient = TRPCClient<AppRouter>;

/**
 * A client of the control plane that knows every procedure by type: `client.keys.generate.mutate({…})`. It holds no state
 * and has no side effects; calls made in the same tick travel together. Amounts are bigints and times are Dates.
 * @throws TypeError if the url is not an address
 */
export function createTollgateClient(options: TollgateClientOptions): TollgateClient {
  const url = new URL("trpc", options.url.endsWith("/") ? options.url : `${options.url}/`).href;
  const callFetch = options.fetch ?? globalThis.fetch;
  const headers = async (): Promise<Record<string, string>> => {
    const token = options.getToken === undefined ? options.token : await options.getToken();
    const more = typeof options.headers === "function" ? await options.headers() : options.headers;
    return { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...more };
  };
  // Asked anew for every connection, so that a reconnect after an hour carries a fresh token.
  const fetchWithHeaders = async (input: string | URL, init: RequestInit = {}): Promise<Response> =>
    callFetch(input, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), ...(await headers()) } });

  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: (operation) => operation.type === "subscription",
        true: httpSubscriptionLink({
          url,
          transformer: superjson,
          EventSource: options.EventSource ?? EventSource,
          eventSourceOptions: { fetch: fetchWithHeaders },
        }),
        false: httpBatchLink({
          url,
          transformer: superjson,
          headers,
          fetch: (input, init) => callFetch(input, init as RequestInit),
          maxURLLength: URL_CHARACTERS_MAX,
        }),
      }),
    ],
  });
}
