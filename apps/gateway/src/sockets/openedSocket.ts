import type { Socket } from "node:net";
import type { RoutedApi, RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { UpstreamTarget } from "../forward/upstreamPools.ts";
import type { Caller } from "../identity/caller.ts";

/** Both ends of a WebSocket after its handshake, and what it was opened for. */
export interface OpenedSocket {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly target: UpstreamTarget;
  readonly key: string;
  /** Where the client opened it from. */
  readonly address: string | undefined;
  readonly caller: Caller;
  readonly api: RoutedApi;
  readonly endpoint: RoutedEndpoint;
  readonly isCompressed: boolean;
}

/** The standard ones (RFC 6455, section 7.4, and IANA's registry); 4000 and the HTTP status for what HTTP would refuse. */
export const CLOSE_CODES = {
  goingAway: 1001,
  protocolError: 1002,
  tooBig: 1009,
  internalError: 1011,
  badGateway: 1014,
  refusedBase: 4_000,
} as const;
