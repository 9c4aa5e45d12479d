/** Where a NATS cluster is, and who we are there, as its client wants to be told. */
export interface NatsServers {
  /** `host:port` each. */
  readonly servers: string[];
  readonly user?: string;
  readonly pass?: string;
  /** What a user without a password is: a token. */
  readonly token?: string;
  /** Present when the addresses ask for TLS. */
  readonly tls?: Record<string, never>;
}

/**
 * Reads NATS_URL: one address, or several of one cluster separated by commas. `nats://` may be left out, `tls://` asks for
 * TLS, and the first address that carries a user and password (or a token) speaks for all.
 * @throws TypeError for an address that is none
 */
export function natsServers(text: string): NatsServers {
  const addresses = text
    .split(",")
    .map((address) => address.trim())
    .filter((address) => address !== "")
    .map((address) => new URL(address.includes("://") ? address : `nats://${address}`));
  const credentials = addresses.find(({ username }) => username !== "");
  const user = decodeURIComponent(credentials?.username ?? "");
  const pass = decodeURIComponent(credentials?.password ?? "");
  return {
    servers: addresses.map(({ hostname, port }) => `${hostname}:${port === "" ? "4222" : port}`),
    ...(user === "" ? {} : pass === "" ? { token: user } : { user, pass }),
    ...(addresses.some(({ protocol }) => protocol === "tls:") ? { tls: {} } : {}),
  };
}
