import { Resolver } from "node:dns/promises";
import type { LookupFunction, Socket } from "node:net";
import { isIP } from "node:net";
import { buildConnector } from "undici";
import type { Network } from "./addresses.ts";
import { isInNetworks, isPublicAddress } from "./addresses.ts";
import { OutboundError } from "./outboundError.ts";
import { isLocalName, localAddresses } from "./outboundUrl.ts";

/** All addresses of a name. Empty or throwing: it has none. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

const DNS_TIMEOUT_MS = 2_000;
const DNS_TRIES = 2;

/**
 * Asks the name servers themselves. The operating system's lookup would also search the domains and the hosts file of
 * this machine, and waits on a few threads that a slow name server of one tenant would hold from all others.
 */
export function createResolveHost(): ResolveHost {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  return async (host) => {
    if (isLocalName(host)) return localAddresses;
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  };
}

/**
 * A connector that looks at the address it connects to. The check is on the very addresses that the socket is given, and
 * once more on the one that it reached, so a name that answers differently the second time (DNS rebinding) gains nothing.
 */
export function createGuardedConnector(options: {
  readonly allowed: readonly Network[];
  readonly resolveHost: ResolveHost;
  readonly timeoutMs: number;
}): buildConnector.connector {
  const { allowed, resolveHost, timeoutMs } = options;
  const mayReach = (address: string, protocol: string): boolean =>
    isInNetworks(address, allowed) || (protocol === "https:" && isPublicAddress(address));
  const connectorFor = (protocol: string): buildConnector.connector =>
    buildConnector({
      timeout: timeoutMs,
      lookup: guardedLookup(resolveHost, (address) => mayReach(address, protocol)),
    });
  const connectors = { "https:": connectorFor("https:"), "http:": connectorFor("http:") };
  return (target, callback) => {
    const protocol = target.protocol === "https:" ? "https:" : "http:";
    const host = target.hostname.replace(/^\[|\]$/g, "");
    // A literal address is connected to without any lookup.
    if (isIP(host) !== 0 && !mayReach(host, protocol)) return callback(new OutboundError("address_refused"), null);
    connectors[protocol](target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      if (hasReached(socket, (address) => mayReach(address, protocol))) return callback(null, socket);
      socket.destroy();
      callback(new OutboundError("address_refused"), null);
    });
  };
}

const hasReached = ({ remoteAddress }: Socket, isAllowed: (address: string) => boolean): boolean =>
  remoteAddress !== undefined && isAllowed(remoteAddress);

function guardedLookup(resolveHost: ResolveHost, isAllowed: (address: string) => boolean): LookupFunction {
  return (host, options, callback) => {
    resolveHost(host).then(
      (addresses) => {
        const records = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first] = records;
        if (first === undefined) callback(new OutboundError("dns_failed"), "", 0);
        // A public name has public addresses only: one among them that is not is somebody's trick.
        else if (!addresses.every(isAllowed)) callback(new OutboundError("address_refused"), "", 0);
        else if (options.all === true) callback(null, records);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(new OutboundError("dns_failed", undefined, { cause: error }), "", 0),
    );
  };
}
