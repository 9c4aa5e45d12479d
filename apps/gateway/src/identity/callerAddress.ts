import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/**
 * Where a request comes from: the address of its connection, or with `trustedProxyHops` proxies of ours in front the one
 * that the outermost of them saw. Each appends to X-Forwarded-For, so that is counted from the right; what stands further
 * left was written by the caller. A header that is missing, too short or malformed says nothing, and neither does the
 * connection then, which is a proxy's: undefined, which is in no network.
 */
export function callerAddress(
  { headers, socket }: Pick<IncomingMessage, "headers" | "socket">,
  trustedProxyHops: number,
): string | undefined {
  if (trustedProxyHops === 0) return socket.remoteAddress;
  const forwarded = headers["x-forwarded-for"];
  if (typeof forwarded !== "string") return undefined;
  const address = forwarded.split(",").at(-trustedProxyHops)?.trim() ?? "";
  return isIP(address) === 0 ? undefined : address;
}
