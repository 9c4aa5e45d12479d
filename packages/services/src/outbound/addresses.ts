import ipaddr from "ipaddr.js";

/**
 * Which addresses a request of ours may reach. Whoever names a URL chooses where this system connects to, so everything
 * that is not an ordinary public address is refused: private and loopback networks, link-local ones (and with them the
 * metadata services of clouds), carrier-grade NAT, unique-local IPv6, documentation, multicast, and the ranges that carry
 * an IPv4 address inside an IPv6 one (RFC 6052, 3056, 4380, 4291).
 */
export type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** What IANA has given out as global unicast (RFC 4291, section 2.4); the rest of IPv6 is nobody's. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** Public by number, private by use: the address at which Azure answers its own machines. */
const PRIVATE_BY_USE: readonly string[] = ["168.63.129.16"];

/** @throws Error that names the text which is no network */
export function parseNetworks(texts: readonly string[]): Network[] {
  return texts.map((text) => {
    try {
      return ipaddr.parseCIDR(text);
    } catch {
      throw new Error(`Not a network in CIDR notation: ${text}`);
    }
  });
}

/** Whether `address` is in one of the networks that the deployment lets requests reach although they are not public. */
export function isInNetworks(address: string, networks: readonly Network[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return networks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits));
}

/** Whether an address, in any notation, is an ordinary public one. Text that is no address is not. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  // An IPv4 address inside an IPv6 one is what it is.
  const parsed = ipaddr.process(address);
  if (parsed.range() !== "unicast" || PRIVATE_BY_USE.includes(parsed.toString())) return false;
  return parsed.kind() === "ipv4" || (parsed as ipaddr.IPv6).match(GLOBAL_UNICAST);
}
