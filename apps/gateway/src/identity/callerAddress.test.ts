import type { Socket } from "node:net";
import { expect, it } from "vitest";
import { callerAddress } from "./callerAddress.ts";

const PROXY = "10.0.0.1";
const addressOf = (forwarded: string | undefined, hops: number): string | undefined =>
  callerAddress(
    {
      headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
      socket: { remoteAddress: PROXY } as Socket,
    },
    hops,
  );

it.each([
  ["of the connection where no proxy is trusted", "203.0.113.9", 0, PROXY],
  ["that the proxy saw", "203.0.113.9", 1, "203.0.113.9"],
  ["that the proxy saw, whatever its client wrote before", "10.9.9.9, 10.8.8.8,203.0.113.9", 1, "203.0.113.9"],
  ["that the outer of two proxies saw", "10.9.9.9, 203.0.113.9, 198.51.100.1", 2, "203.0.113.9"],
  ["of the sixth version", " 2001:db8::7 ", 1, "2001:db8::7"],
])("the address is the one %s", (_, forwarded, hops, address) => {
  expect(addressOf(forwarded, hops)).toBe(address);
});

it.each([
  ["no header", undefined, 1],
  ["an empty header", "", 1],
  ["fewer entries than proxies", "203.0.113.9", 2],
  ["a name", "10.0.0.1, localhost", 1],
  ["a port", "10.0.0.1, 203.0.113.9:443", 1],
  ["an empty entry at the end", "203.0.113.9,", 1],
  ["an obfuscated identifier", "unknown", 1],
])("%s is no address, and the proxy's own does not stand in for it", (_, forwarded, hops) => {
  expect(addressOf(forwarded, hops)).toBeUndefined();
});
