import { isIP } from "node:net";
import type { Network } from "./addresses.ts";
import { isInNetworks, isPublicAddress } from "./addresses.ts";
import { OutboundError } from "./outboundError.ts";

/** The host of a URL as `node:net` wants it: IPv6 without its brackets. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");

/**
 * What can be said against a URL before anybody resolves its name; the address that a connection really reaches is looked
 * at again when it is made. Plain HTTP is for the networks that the deployment allows, which only names of this machine
 * and literal addresses can be seen to be in.
 * @throws OutboundError `url_refused`, `address_refused`
 */
export function parseOutboundUrl(text: string, allowed: readonly Network[]): URL {
  if (!URL.canParse(text)) throw new OutboundError("url_refused", "it is no URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new OutboundError("url_refused", "it must begin with https://");
  }
  if (url.username !== "" || url.password !== "")
    throw new OutboundError("url_refused", "it must not carry a password");
  const host = hostOf(url);
  if (isIP(host) !== 0) {
    if (!isPublicAddress(host) && !isInNetworks(host, allowed)) throw new OutboundError("address_refused");
  } else if (isLocalName(host) && !localAddresses.some((address) => isInNetworks(address, allowed))) {
    throw new OutboundError("address_refused");
  }
  if (url.protocol === "http:" && allowed.length === 0) {
    throw new OutboundError("url_refused", "it must begin with https://");
  }
  return url;
}

/** Names that are this machine wherever they are asked for (RFC 6761, section 6.3). */
export const isLocalName = (host: string): boolean => /(?:^|\.)localhost\.?$/i.test(host);
export const localAddresses: readonly string[] = ["127.0.0.1", "::1"];
