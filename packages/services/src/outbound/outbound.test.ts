import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isPublicAddress } from "./addresses.ts";
import type { ResolveHost } from "./guardedConnector.ts";
import { OutboundClient } from "./outboundClient.ts";
import { OutboundError } from "./outboundError.ts";
import { parseOutboundUrl } from "./outboundUrl.ts";

const LOOPBACK = ["127.0.0.0/8", "::1/128"];

let port: number;
let reached = 0;
const server = createServer((request, response) => {
  reached += 1;
  switch (request.url) {
    case "/redirect":
      response.writeHead(302, { location: "/" }).end();
      return;
    case "/hang":
      return;
    case "/drip":
      response.writeHead(200).write("begun");
      return;
    case "/long":
      response.end("x".repeat(100_000));
      return;
    default: {
      const chunks: Buffer[] = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => response.end(`${request.method} ${Buffer.concat(chunks).toString()}`));
    }
  }
});
const clients: OutboundClient[] = [];
function client(allowedNetworks: readonly string[], resolveHost?: ResolveHost): OutboundClient {
  const made = new OutboundClient({ allowedNetworks, ...(resolveHost === undefined ? {} : { resolveHost }) });
  clients.push(made);
  return made;
}
const refusal = (sending: Promise<unknown>): Promise<unknown> =>
  sending.then(
    () => "sent",
    (error: unknown) => (error instanceof OutboundError ? error.reason : error),
  );

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  await Promise.all(clients.map((one) => one.close()));
  server.closeAllConnections();
  server.close();
});

describe("which addresses are public", () => {
  it.each([
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "4000::1",
    "not an address",
  ])("%s is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700:4700::1111"])("%s is", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});

describe("which URLs may be called", () => {
  it.each([
    ["http://example.com/", "url_refused"],
    ["ftp://example.com/", "url_refused"],
    ["file:///etc/passwd", "url_refused"],
    ["https://user:password@example.com/", "url_refused"],
    ["nonsense", "url_refused"],
    ["https://127.0.0.1/", "address_refused"],
    ["https://2130706433/", "address_refused"],
    ["https://0177.0.0.1/", "address_refused"],
    ["https://[::1]/", "address_refused"],
    ["https://[::ffff:10.0.0.1]/", "address_refused"],
    ["https://localhost/", "address_refused"],
    ["https://metadata.localhost./", "address_refused"],
  ])("%s is refused: %s", (url, reason) => {
    expect(() => parseOutboundUrl(url, [])).toThrow(expect.objectContaining({ reason }));
  });
});

describe("a request to a URL that somebody else has named", () => {
  it("reaches no private address, neither named nor numbered", async () => {
    const before = reached;
    const outbound = client([], async () => ["127.0.0.1"]);
    expect(await refusal(outbound.send({ url: `https://127.0.0.1:${port}/` }))).toBe("address_refused");
    expect(await refusal(outbound.send({ url: `https://innocent.example:${port}/` }))).toBe("address_refused");
    expect(reached).toBe(before);
  });

  it("is refused when one of a name's addresses is private, so that the order of answers decides nothing", async () => {
    const outbound = client([], async () => ["93.184.215.14", "10.0.0.1"]);
    expect(await refusal(outbound.send({ url: "https://mixed.example/" }))).toBe("address_refused");
  });

  it("is connected to the very address that was looked at: a name that changes its answer gains nothing", async () => {
    let asked = 0;
    // The second answer is the one an attacker wants us to reach.
    const outbound = client([`127.0.0.1/32`], async () => {
      asked += 1;
      return asked === 1 ? ["127.0.0.1"] : ["127.0.0.2"];
    });
    expect((await outbound.send({ url: `http://rebound.example:${port}/`, body: "one" })).body).toBe("POST one");
    expect(asked).toBe(1);
    // A new connection asks again, and what it is told is looked at again.
    const other = client([`127.0.0.1/32`], async () => ["127.0.0.2"]);
    expect(await refusal(other.send({ url: `http://rebound.example:${port}/` }))).toBe("address_refused");
  });

  it("goes in the clear to allowed networks alone", async () => {
    const outbound = client(LOOPBACK, async () => ["93.184.215.14"]);
    expect(await refusal(outbound.send({ url: "http://public.example/" }))).toBe("address_refused");
  });

  it("follows no redirect", async () => {
    expect((await client(LOOPBACK).send({ url: `http://localhost:${port}/redirect` })).status).toBe(302);
  });

  it("waits no longer than it was told to, for the answer and for its body", async () => {
    const outbound = client(LOOPBACK);
    expect(await refusal(outbound.send({ url: `http://127.0.0.1:${port}/hang`, timeoutMs: 100 }))).toBe("timed_out");
    const dripped = await outbound.send({ url: `http://127.0.0.1:${port}/drip`, timeoutMs: 100 });
    expect(dripped).toMatchObject({ status: 200, body: "begun", isTruncated: true });
  });

  it("reads no more of an answer than it was told to", async () => {
    const answer = await client(LOOPBACK).send({ url: `http://127.0.0.1:${port}/long`, responseBytesMax: 10 });
    expect(answer).toMatchObject({ body: "xxxxxxxxxx", isTruncated: true });
  });

  it("says what failed: the name, or the connection", async () => {
    expect(await refusal(client([], async () => []).send({ url: "https://nowhere.example/" }))).toBe("dns_failed");
    expect(await refusal(client(LOOPBACK).send({ url: "http://127.0.0.1:1/" }))).toBe("connection_failed");
  });
});
