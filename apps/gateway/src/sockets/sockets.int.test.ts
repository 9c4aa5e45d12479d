import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { hashKey } from "@tollgate/services/keys";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { call, sendRaw } from "../testing/client.ts";
import type { LabAccount } from "../testing/lab.ts";
import { Lab, PRICE } from "../testing/lab.ts";
import { openSocket, refusalOf } from "../testing/socketClient.ts";
import { SocketUpstream } from "../testing/socketUpstream.ts";

/** WebSockets through the gateway: opened as a call, metered by message where the endpoint says so. */
let lab: Lab;
let upstream: SocketUpstream;
let url: string;
let port: number;
let account: LabAccount;

beforeAll(async () => {
  [lab, upstream] = await Promise.all([Lab.open(), SocketUpstream.start()]);
  await lab.publish(
    "live",
    [
      { name: "feed" },
      { name: "post", method: "POST" },
      { name: "talk", meter: "message", bodyBytesMax: 1024 * 1024, path: "/talk" },
      { name: "bytes", unit: "byte", unitsMax: 10 },
      { name: "tokens", unit: "token", unitsMax: 5, priceMicros: 10, path: "/tokens" },
    ].map((endpoint) => ({ path: "/feed", ...endpoint })) as Parameters<Lab["publish"]>[1],
    [upstream.url],
  );
  await lab.publish("plain", [{ name: "get" }]);
  await lab.publish("nowhere", [{ name: "feed", path: "/feed" }], ["http://127.0.0.1:1"]);
  ({ url, port } = await lab.startGateway());
  account = await lab.createAccount();
});

beforeEach(() => {
  upstream.messages.length = 0;
  upstream.handshakeHeaders = [];
  upstream.onMessage = (socket, data, isBinary) => socket.send(data, { binary: isBinary });
});

afterAll(async () => {
  await lab.close();
  await upstream.stop();
  expect(lab.foldFailures).toEqual([]);
});

const feed = (more = ""): string => `${url}/v1/live/feed${more}`;
const talk = (): string => `${url}/v1/live/talk`;
const callsOf = (caller: LabAccount, count: number) =>
  expect.poll(() => lab.callsOf(caller), { timeout: 5_000 }).toHaveLength(count);

describe("a WebSocket", () => {
  it("is opened as one call, and carries messages both ways as they are", async () => {
    const caller = await lab.createAccount();
    const { socket, response, received } = await openSocket(feed("?room=7"), { key: caller.key });
    expect(response.headers).toMatchObject({ "tollgate-price": String(PRICE), upgrade: "websocket" });
    expect(response.headers).toHaveProperty("tollgate-call-id");
    const { request } = upstream.last;
    expect(request.url).toBe("/feed?room=7");
    expect(request.headers.authorization).toMatch(/^Bearer ey/);
    expect(request.headers["tollgate-call-id"]).toBe(response.headers["tollgate-call-id"]);
    expect(request.headers["traceparent"]).toMatch(/^00-/);
    expect(JSON.stringify(request.rawHeaders)).not.toContain(caller.key);
    socket.send("hello");
    const binary = Buffer.alloc(300_000, 7);
    socket.send(binary);
    await expect.poll(() => received.length).toBe(2);
    expect([received[0], Buffer.from(received[1] ?? "").equals(binary)]).toEqual(["hello", true]);
    const closed = once(socket, "close");
    socket.close(1000, "done");
    expect((await closed)[0]).toBe(1000);
    await callsOf(caller, 1);
    expect(await lab.callsOf(caller)).toMatchObject([{ outcome: "charged", status: 101, chargedMicros: PRICE }]);
  });

  it("takes the key as a subprotocol, which goes no further, and lets the upstream choose among the others", async () => {
    const protocols = ["other", "chat", `tollgate.key.${account.key}`, "tollgate"];
    const { socket, response } = await openSocket(feed(), { protocols });
    expect(socket.protocol).toBe("chat");
    expect(upstream.last.request.headers["sec-websocket-protocol"]).toBe("other, chat");
    expect(JSON.stringify(upstream.last.request.rawHeaders)).not.toContain(account.key);
    expect(JSON.stringify(response.rawHeaders)).not.toContain(account.key);
    socket.terminate();
  });

  it("names the gateway's own subprotocol to a client whose upstream chose none", async () => {
    const { socket } = await openSocket(feed(), { protocols: [`tollgate.key.${account.key}`, "tollgate"] });
    expect(socket.protocol).toBe("tollgate");
    expect(upstream.last.request.headers).not.toHaveProperty("sec-websocket-protocol");
    socket.terminate();
    // A client that offers its key alone takes no other answer.
    const alone = await openSocket(feed(), { protocols: [`tollgate.key.${account.key}`] });
    alone.socket.terminate();
  });

  it("behind a proxy is for the networks of its key by the address that the proxy saw, as long as it is open", async () => {
    const behind = await lab.startGateway({ TRUSTED_PROXY_HOPS: 1 });
    const caller = await lab.createAccount({ allowedCidrs: ["10.0.0.0/8"] });
    const from = (address: string) =>
      openSocket(`${behind.url}/v1/live/talk`, { key: caller.key, headers: { "x-forwarded-for": address } });
    expect(await refusalOf(from("10.1.1.1, 203.0.113.9"))).toEqual([403, "address_not_allowed"]);
    const { socket, received, ended } = await from("203.0.113.9, 10.1.1.1");
    socket.send("one");
    await expect.poll(() => received).toEqual(["one"]);
    await lab.database.sql`update keys set allowed_cidrs = '["203.0.113.0/24"]' where id = ${caller.keyId}`;
    lab.announce("keys.updated", { keyHash: hashKey(caller.key) });
    expect(await ended).toEqual({ code: 4403, reason: "address_not_allowed" });
  });

  it("that is compressed stays so from end to end", async () => {
    const { socket, received } = await openSocket(feed(), { key: account.key, perMessageDeflate: { threshold: 0 } });
    expect(socket.extensions).toContain("permessage-deflate");
    socket.send("a".repeat(10_000));
    await expect.poll(() => received[0]?.length).toBe(10_000);
    socket.terminate();
  });

  it("carries pings and pongs, and close codes of the upstream", async () => {
    const { socket, ended } = await openSocket(feed(), { key: account.key });
    const pinged = once(socket, "ping");
    const ponged = once(socket, "pong");
    socket.ping("anyone?");
    upstream.last.socket.ping("you?");
    expect(String((await ponged)[0])).toBe("anyone?");
    expect(String((await pinged)[0])).toBe("you?");
    upstream.last.socket.close(4123, "enough");
    expect(await ended).toEqual({ code: 4123, reason: "enough" });
  });

  it("whose upstream counts units at the handshake costs so many", async () => {
    const caller = await lab.createAccount();
    const open = async (...headers: string[]) => {
      upstream.handshakeHeaders = headers;
      const { socket, response } = await openSocket(`${url}/v1/live/tokens`, { key: caller.key });
      socket.terminate();
      expect(response.headers).not.toHaveProperty("tollgate-units");
      return response.headers["tollgate-price"];
    };
    expect(await open("Tollgate-Units: 3")).toBe("30");
    // Never more than was set aside, which is what it costs when nobody counts.
    expect(await open("Tollgate-Units: 8")).toBe("50");
    expect(await open()).toBe("50");
    await callsOf(caller, 3);
    expect((await lab.callsOf(caller)).map(({ units, chargedMicros }) => [units, chargedMicros])).toEqual([
      [3, 30],
      [5, 50],
      [5, 50],
    ]);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 130 });
  });
});

describe("a handshake is refused in plain HTTP", () => {
  it("for what any call is refused for", async () => {
    const poor = await lab.createAccount({ creditMicros: PRICE - 1 });
    const blocked = await lab.createAccount({ status: "blocked", blockedMessage: "Call us" });
    const { key } = account;
    expect(await refusalOf(openSocket(feed()))).toEqual([401, "missing_key"]);
    expect(await refusalOf(openSocket(feed(), { key: "nonsense" }))).toEqual([401, "invalid_key"]);
    expect(await refusalOf(openSocket(feed(), { protocols: ["tollgate.key.nonsense"] }))).toEqual([401, "invalid_key"]);
    expect(await refusalOf(openSocket(feed(), { key: blocked.key }))).toEqual([403, "key_blocked"]);
    expect(await refusalOf(openSocket(feed(), { key: poor.key }))).toEqual([402, "insufficient_credit"]);
    expect(await refusalOf(openSocket(`${url}/v1/live/none`, { key }))).toEqual([404, "endpoint_not_found"]);
    expect(await refusalOf(openSocket(`${url}/elsewhere`, { key }))).toEqual([404, "route_not_found"]);
    expect(await refusalOf(openSocket(`${url}/v1/live/post`, { key }))).toEqual([405, "method_not_allowed"]);
  });

  it("where the price would be known only at an end that may never come", async () => {
    const opening = openSocket(`${url}/v1/live/bytes`, { key: account.key });
    expect(await refusalOf(opening)).toEqual([400, "websocket_not_possible"]);
  });

  it("by an upstream that has no WebSocket there, whose answer comes through and is not charged", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => response.writeHead(403, { "x-why": "no" }).end("not here"));
    const opening = openSocket(`${url}/v1/plain/get/${name}`, { key: caller.key });
    expect(await refusalOf(opening)).toEqual([403, "not here"]);
    await callsOf(caller, 1);
    expect(await lab.callsOf(caller)).toMatchObject([{ outcome: "uncharged", status: 403, chargedMicros: 0 }]);
  });

  it("when nobody listens at the upstream, and nothing is charged", async () => {
    const caller = await lab.createAccount();
    expect(await refusalOf(openSocket(`${url}/v1/nowhere/feed`, { key: caller.key }))).toEqual([
      502,
      "upstream_unreachable",
    ]);
    await callsOf(caller, 1);
    expect(await lab.callsOf(caller)).toMatchObject([{ outcome: "failed", chargedMicros: 0 }]);
  });

  it.each([
    ["another version", ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]],
    ["no key", ["Sec-WebSocket-Version: 13"]],
    ["a short key", ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: abc="]],
    ["a body", ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Content-Length: 1"]],
  ])("for a handshake with %s, and told the version", async (_, lines) => {
    const head = [`GET /v1/live/feed HTTP/1.1`, "Host: g", "Connection: Upgrade", "Upgrade: websocket", ...lines];
    const answer = await sendRaw(port, `${head.join("\r\n")}\r\nAuthorization: Bearer ${account.key}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain("Sec-WebSocket-Version: 13");
    expect(answer).toContain('"code":"bad_upgrade"');
  });
});

describe("an endpoint that is metered by message", () => {
  it("counts the open and every message once, and no control frame", async () => {
    const caller = await lab.createAccount();
    const { socket, received } = await openSocket(talk(), { key: caller.key });
    for (let index = 0; index < 20; index += 1) {
      socket.send(`message ${index}`);
      if (index % 3 === 0) socket.ping("not a message");
    }
    await expect.poll(() => received.length).toBe(20);
    expect(received).toEqual(Array.from({ length: 20 }, (_, index) => `message ${index}`));
    socket.close();
    await callsOf(caller, 21);
    const calls = await lab.callsOf(caller);
    expect(calls.map((one) => one.status).sort()).toEqual([101, ...new Array(20).fill(200)]);
    expect(new Set(calls.map((one) => one.id)).size).toBe(21);
    expect(calls.filter((one) => one.status === 200).map((one) => one.requestBytes)).toContain("message 0".length);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 21 * PRICE });
  });

  it("counts a message in many frames once, and passes its parts on as they come", async () => {
    const caller = await lab.createAccount();
    const { socket, received } = await openSocket(talk(), { key: caller.key });
    socket.send("first ", { fin: false });
    socket.ping();
    socket.send(Buffer.alloc(200_000, "x"), { fin: false });
    socket.send("last", { fin: true });
    await expect.poll(() => received.length).toBe(1);
    expect(received[0]).toHaveLength(200_010);
    socket.close();
    await callsOf(caller, 2);
    expect((await lab.callsOf(caller)).map((one) => one.requestBytes).sort()).toEqual([0, 200_010]);
  });

  it("delivers exactly as many messages as are paid for, over any number of sockets, and then says why it closes", async () => {
    const affordable = 40;
    const sockets = 4;
    const caller = await lab.createAccount({ creditMicros: (affordable + sockets) * PRICE + PRICE - 1 });
    const clients = await Promise.all(Array.from({ length: sockets }, () => openSocket(talk(), { key: caller.key })));
    for (const { socket } of clients) for (let index = 0; index < affordable; index += 1) socket.send(`m${index}`);
    const endings = await Promise.all(clients.map((client) => client.ended));
    expect(endings).toEqual(new Array(sockets).fill({ code: 4402, reason: "insufficient_credit" }));
    expect(upstream.messages).toHaveLength(affordable);
    await callsOf(caller, affordable + sockets);
    await expect.poll(() => lab.walletOf(caller)).toEqual({ used: (affordable + sockets) * PRICE, held: 0 });
  });

  it("closes with 4429 beyond the key's rate", async () => {
    const caller = await lab.createAccount({ rateLimitPerSecond: 3 });
    const { socket, ended } = await openSocket(talk(), { key: caller.key });
    for (let index = 0; index < 5; index += 1) socket.send("m");
    expect(await ended).toEqual({ code: 4429, reason: "rate_limited" });
    expect(upstream.messages).toHaveLength(2);
  });

  it("charges nothing for a message that is too large or never ends", async () => {
    const caller = await lab.createAccount();
    const large = await openSocket(talk(), { key: caller.key });
    large.socket.send(Buffer.alloc(1024 * 1024 + 1));
    expect(await large.ended).toEqual({ code: 1009, reason: "message_too_large" });
    const unfinished = await openSocket(talk(), { key: caller.key });
    unfinished.socket.send("begun", { fin: false });
    await new Promise((resolve) => setTimeout(resolve, 50));
    unfinished.socket.terminate();
    await callsOf(caller, 4);
    const messages = (await lab.callsOf(caller)).filter((one) => one.status !== 101);
    expect(messages.sort((one, other) => one.status - other.status)).toMatchObject([
      { outcome: "failed", status: 413, chargedMicros: 0 },
      { outcome: "failed", status: 499, chargedMicros: 0 },
    ]);
    expect(upstream.messages).toEqual([]);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 2 * PRICE });
  });
});

describe("while a WebSocket is open", () => {
  const openIdle = async (caller: LabAccount, address = feed()) => {
    const client = await openSocket(address, { key: caller.key });
    client.socket.send("still there?");
    await expect.poll(() => client.received.length).toBe(1);
    return client;
  };
  const within = async (ended: Promise<unknown>): Promise<unknown> => {
    const startedAt = performance.now();
    const ending = await ended;
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    return ending;
  };

  it.each([
    ["revoked", { code: 4401, reason: "invalid_key" }],
    ["blocked", { code: 4403, reason: "key_blocked" }],
  ])("a key that is %s closes it within a second, on either side", async (status, ending) => {
    const caller = await lab.createAccount();
    const { ended } = await openIdle(caller);
    const upstreamEnded = once(upstream.last.socket, "close");
    const [row] = await lab.database.sql`update keys set status = ${status} where id = ${caller.keyId} returning hash`;
    lab.announce(`keys.${status}`, {
      keyId: caller.keyId,
      projectId: caller.projectId,
      keyHash: String(row?.["hash"]),
    });
    expect(await within(ended)).toEqual(ending);
    expect((await upstreamEnded)[0]).toBe(ending.code);
  });

  it("a key that expires closes it", async () => {
    const caller = await lab.createAccount({ expiresAt: new Date(Date.now() + 1_500) });
    const { ended } = await openIdle(caller);
    expect(await ended).toEqual({ code: 4401, reason: "expired_key" });
  });

  it("credit that is gone closes it, although nothing is sent", async () => {
    const caller = await lab.createAccount({ creditMicros: 2 * PRICE });
    const { ended } = await openIdle(caller);
    // What the gateway holds and does not spend goes back; it would pay for one more.
    await expect.poll(async () => (await lab.walletOf(caller)).held, { timeout: 10_000 }).toBe(0);
    await lab.database.sql`
      update budgets set limit_amount = used
      where billing_account_id = ${caller.billingAccountId} and kind = 'wallet'`;
    lab.announce("balance.debited", { billingAccountId: caller.billingAccountId });
    expect(await within(ended)).toEqual({ code: 4402, reason: "insufficient_credit" });
  });

  it("an endpoint that is retired closes it", async () => {
    const api = `gone-${Date.now()}`;
    await lab.publish(api, [{ name: "feed", path: "/feed" }], [upstream.url]);
    lab.announce("catalog.published", { apiId: "", name: api });
    const caller = await lab.createAccount();
    const address = `${url}/v1/${api}/feed`;
    await expect.poll(async () => (await call(address, { key: caller.key })).status).toBe(426);
    const { ended } = await openIdle(caller, address);
    await lab.database.sql`update apis set status = 'removed', revision = revision + 1 where name = ${api}`;
    lab.announce("catalog.removed", { apiId: "", name: api });
    expect(await within(ended)).toEqual({ code: 4410, reason: "endpoint_retired" });
  });

  it("an upstream that dies closes it, and says so", async () => {
    const { ended } = await openIdle(account);
    upstream.last.socket.terminate();
    expect(await within(ended)).toEqual({ code: 1014, reason: "upstream_closed" });
  });

  it("an upstream that breaks the protocol closes it", async () => {
    const { ended } = await openIdle(account);
    (upstream.last.socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(
      Buffer.from([0xff, 0xff, 0xff]),
    );
    expect(await within(ended)).toEqual({ code: 1014, reason: "upstream_protocol_error" });
  });

  it("a client that breaks the protocol is told so, and its upstream is let go", async () => {
    const { socket, ended } = await openIdle(account);
    const upstreamEnded = once(upstream.last.socket, "close");
    (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0x81, 1, 65]));
    expect(await within(ended)).toEqual({ code: 1002, reason: "protocol_error" });
    await upstreamEnded;
  });

  it("a client that vanishes leaves nothing behind", async () => {
    const { socket } = await openIdle(account);
    const upstreamEnded = once(upstream.last.socket, "close");
    socket.terminate();
    expect((await upstreamEnded)[0]).toBe(1001);
    await expect
      .poll(async () => /tollgate_gateway_sockets_open (\d+)/.exec((await call(`${url}/metrics`)).body.toString())?.[1])
      .toBe("0");
  });

  it.each(["talk", "feed"])("neither side is read faster than the other takes (%s)", async (endpoint) => {
    const client = await openSocket(`${url}/v1/live/${endpoint}`, { key: account.key });
    const { socket: theirs } = upstream.last;
    upstream.onMessage = () => undefined;
    for (const [sender, receiver] of [
      [client.socket, theirs],
      [theirs, client.socket],
    ] as const) {
      receiver.pause();
      const block = Buffer.alloc(512 * 1024);
      for (let index = 0; index < 64; index += 1) sender.send(block);
      let before = -1;
      await expect
        .poll(
          () => {
            const isStill = sender.bufferedAmount === before;
            before = sender.bufferedAmount;
            return isStill;
          },
          { interval: 100, timeout: 10_000 },
        )
        .toBe(true);
      // What the kernel holds of both connections; the rest waits at its sender.
      expect(sender.bufferedAmount).toBeGreaterThan(8 * 1024 * 1024);
      receiver.resume();
      await expect.poll(() => sender.bufferedAmount, { timeout: 20_000 }).toBe(0);
    }
    client.socket.terminate();
  });
});

describe("upgrades to something else", () => {
  it.each([
    ["GET", "", ""],
    ["POST", "Content-Length: 5\r\n", "hello"],
    ["POST", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ])("are ignored, and the request is served as it came (%s %s)", async (method, length, body) => {
    await lab.publish(`h2c-${method}-${length.length}`.toLowerCase(), [{ name: "run", method }]);
    lab.announce("catalog.published", { apiId: "", name: "h2c" });
    const name = lab.upstream.script((request, response) => request.pipe(response));
    const path = `/v1/h2c-${method}-${length.length}/run/${name}`.toLowerCase();
    await expect.poll(async () => (await call(url + path, { key: account.key, method })).status).toBe(200);
    const head = `${method} ${path} HTTP/1.1\r\nHost: g\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n`;
    const answer = await sendRaw(port, `${head}Authorization: Bearer ${account.key}\r\n${length}\r\n${body}`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
    if (body !== "") expect(answer).toContain("hello");
    expect(lab.upstream.requestsOf(name).at(-1)?.headers).not.toHaveProperty("http2-settings");
  });

  it("that the connection does not ask for are none, even of a WebSocket", async () => {
    const head = ["GET /v1/live/feed HTTP/1.1", "Host: g", `Authorization: Bearer ${account.key}`, "Connection: close"];
    const more = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    const before = upstream.opened.length;
    expect(await sendRaw(port, `${[...head, ...more].join("\r\n")}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 426 /);
    expect(upstream.opened).toHaveLength(before);
  });

  it("behind a call that is not answered yet break the connection off, and nothing is mixed into the answer", async () => {
    const name = lab.upstream.script(() => undefined);
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString();
    });
    const closed = once(socket, "close");
    socket.write(`GET /v1/plain/get/${name} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer ${account.key}\r\n\r\n`);
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    socket.write("GET /v1/live/feed HTTP/1.1\r\nHost: g\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await closed;
    expect(received).toBe("");
  });
});

describe("a gateway that stops", () => {
  it("lets answers under way arrive, closes with 1001, and leaves nothing unrecorded", async () => {
    const caller = await lab.createAccount();
    const gateway = await lab.startGateway();
    const client = await openSocket(`${gateway.url}/v1/live/talk`, { key: caller.key });
    const idle = await openSocket(`${gateway.url}/v1/live/feed`, { key: caller.key });
    upstream.onMessage = (socket, data) => setTimeout(() => socket.send(`late answer to ${data}`), 150);
    client.socket.send("a question");
    await expect.poll(() => upstream.messages).toContain("a question");
    const stopped = gateway.stop();
    expect(await client.ended).toEqual({ code: 1001, reason: "draining" });
    expect(await idle.ended).toEqual({ code: 1001, reason: "draining" });
    expect(client.received).toEqual(["late answer to a question"]);
    await stopped;
    expect((await lab.callsOf(caller)).map((one) => one.status).sort()).toEqual([101, 101, 200]);
    expect(await lab.walletOf(caller)).toEqual({ used: 3 * PRICE, held: 0 });
  });

  it("does not wait longer for a handshake under way than for any other call", async () => {
    const caller = await lab.createAccount();
    const silent = createServer();
    let asked = 0;
    silent.on("upgrade", (_, socket) => {
      asked += 1;
      socket.on("error", () => undefined);
    });
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    onTestFinished(() => void silent.close());
    await lab.publish(
      "silent",
      [{ name: "feed", path: "/feed", timeoutMs: 60_000 }],
      [`http://127.0.0.1:${(silent.address() as AddressInfo).port}`],
    );
    const gateway = await lab.startGateway({ GATEWAY_DRAIN_SECONDS: 0.2 });
    const handshake = [
      "GET /v1/silent/feed HTTP/1.1",
      "Host: gateway",
      `Authorization: Bearer ${caller.key}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    const answered = sendRaw(gateway.port, `${handshake.join("\r\n")}\r\n\r\n`);
    await expect.poll(() => asked).toBe(1);
    const startedAt = performance.now();
    await gateway.stop();
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    expect(await answered).toBe("");
    expect(await lab.callsOf(caller)).toMatchObject([{ outcome: "failed", status: 499, chargedMicros: 0 }]);
    expect(await lab.walletOf(caller)).toEqual({ used: 0, held: 0 });
  });
});
