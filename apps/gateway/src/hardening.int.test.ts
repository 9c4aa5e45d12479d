import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, problemCode, sendRaw } from "./testing/client.ts";
import type { LabAccount } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

/** What neither side may do to the other through the gateway. */
let lab: Lab;
let url: string;
let port: number;
let account: LabAccount;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [
    { name: "get" },
    { name: "post", method: "POST" },
    { name: "item", path: "/items/{id}/{script}" },
    { name: "tokens", unit: "token", unitsMax: 50, priceMicros: 10 },
  ]);
  await lab.publish(
    "half",
    [{ name: "get" }, { name: "post", method: "POST" }],
    ["http://127.0.0.1:1", lab.upstream.url],
  );
  await lab.publish("far", [{ name: "get" }], ["http://192.0.2.1:81"]);
  ({ url, port } = await lab.startGateway());
  account = await lab.createAccount();
  script = lab.upstream.script((request, response) => request.resume().on("end", () => response.end("served")));
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

const head = (method: string, target: string, ...lines: string[]): string =>
  [`${method} ${target} HTTP/1.1`, "Host: gateway", `Authorization: Bearer ${account.key}`, ...lines, "", ""].join(
    "\r\n",
  );
const get = (name: string, ...lines: string[]): string => head("GET", `/v1/lab/get/${name}`, ...lines);

describe("the caller's key", () => {
  it("reaches the upstream in no header and no parameter, while the rest of both does", async () => {
    const { key } = account;
    const headers = { "x-api-key": key, cookie: `session=1; key=${key}`, "x-kept": "mine", "proxy-authorization": key };
    const answer = await call(`${url}/v1/lab/get/${script}?key=${key}&q=1&q=2&token=a${key}b`, { key, headers });
    expect(answer.status).toBe(200);
    const request = lab.upstream.requestsOf(script).at(-1);
    expect(request?.url).toBe(`/run/${script}?q=1&q=2`);
    expect(request?.headers).toMatchObject({ "x-kept": "mine" });
    expect(JSON.stringify(request?.rawHeaders)).not.toContain(key);
    await call(`${url}/v1/lab/get/${script}?${key}`, { key });
    expect(lab.upstream.requestsOf(script).at(-1)?.url).toBe(`/run/${script}`);
  });

  it("is not forwarded as a part of the path", async () => {
    const { key } = account;
    const answer = await call(`${url}/v1/lab/item/${key}/${script}`, { key });
    expect([answer.status, problemCode(answer)]).toEqual([400, "bad_path"]);
  });
});

describe("requests", () => {
  it.each([
    ["CONNECT", "upstream.test:443", 405],
    ["TRACE", "/v1/lab/get/x", 405],
    ["GET", "*", 400],
    ["GET", "upstream.test:443", 400],
    ["GET", "//v1/lab/get/x", 404],
    ["GET", "/v1/lab/item/a\\..\\b/x", 400],
    ["GET", "/v1/lab/item/%2e%2e%2fadmin/x", 400],
    ["GET", "/v1/lab/item/a%00/x", 400],
  ])("%s %s is a %d and reaches no upstream", async (method, target, status) => {
    const answer = await sendRaw(port, head(method, target, "Connection: close"));
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it.each([
    ["that is no request", () => "hello\r\n\r\n", 400, "malformed_request"],
    ["with two lengths", () => get("x", "Content-Length: 1", "Content-Length: 2"), 400, "malformed_request"],
    ["for a tunnel", () => head("CONNECT", "upstream.test:443"), 405, "method_not_allowed"],
    ["with large headers", () => get("x", `a: ${"x".repeat(20_000)}`), 431, "headers_too_large"],
    ["with many headers", () => get("x", ...Array.from({ length: 101 }, (_, n) => `a${n}:`)), 431, "headers_too_large"],
  ])("what comes %s is answered with problem details, and the connection ends", async (_, text, status, code) => {
    const [top = "", body = ""] = (await sendRaw(port, text())).split("\r\n\r\n");
    expect(top).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(top.toLowerCase()).toContain("content-type: application/problem+json");
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });

  it("with more headers than anybody sends are a 431, however small the headers", async () => {
    const many = Array.from({ length: 101 }, (_, index) => `a${index}:`);
    expect(await sendRaw(port, get(script, ...many, "Connection: close"))).toMatch(/^HTTP\/1\.1 431 /);
    const most = Array.from({ length: 90 }, (_, index) => `a${index}: 1`);
    expect(await sendRaw(port, get(script, ...most, "Connection: close"))).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([
    ["a chunk with an extension", "5;name=value\r\nhello\r\n0\r\n\r\n", /^HTTP\/1\.1 200 /],
    ["a bare newline after a chunk's size", "5\nhello\r\n0\r\n\r\n", /^HTTP\/1\.1 400 |^$/],
    ["a size that is no number", "0x5\r\nhello\r\n0\r\n\r\n", /^HTTP\/1\.1 400 |^$/],
    ["a size beyond all bounds", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", /^HTTP\/1\.1 400 |^$/],
  ])("with %s are either read as everybody reads them or refused", async (_, body, expected) => {
    const lines = ["Transfer-Encoding: chunked", "Connection: close"];
    const answer = await sendRaw(port, head("POST", `/v1/lab/post/${script}`, ...lines) + body);
    expect(answer).toMatch(expected);
    expect(answer.match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThanOrEqual(1);
  });

  it("smuggled behind another are a request of their own, and need a key of their own", async () => {
    const smuggled = `GET /v1/lab/get/${script} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n`;
    const before = lab.upstream.requestsOf(script).length;
    const answer = await sendRaw(port, head("POST", `/v1/lab/post/${script}`, "Content-Length: 0") + smuggled);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 401"]);
    expect(lab.upstream.requestsOf(script)).toHaveLength(before + 1);
  });

  it("that wait for a go-ahead get it when the call is decided, and not when it is refused", async () => {
    const lines = ["Expect: 100-continue", "Content-Length: 5"];
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (received.endsWith("100 Continue\r\n\r\n")) socket.write("hello");
    });
    const ended = once(socket, "close");
    socket.write(head("POST", `/v1/lab/post/${script}`, ...lines));
    await ended;
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 100", "HTTP/1.1 200"]);
    const unknown = head("POST", `/v1/lab/post/${script}`, ...lines).replace(account.key, "unknown");
    const refused = await sendRaw(port, unknown);
    expect(refused.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 401"]);
    expect(lab.upstream.requestsOf(script).at(-1)?.headers).not.toHaveProperty("expect");
  });

  it("of a client that says no more are given up like those of one that has gone, uncharged", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script(() => undefined);
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.resume().write(get(name).replace(account.key, caller.key));
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    socket.end();
    await once(socket, "end");
    socket.destroy();
    await expect
      .poll(() => lab.callsOf(caller), { timeout: 5_000 })
      .toMatchObject([{ outcome: "failed", status: 499, chargedMicros: 0 }]);
  });
});

describe("answers", () => {
  it("that an upstream sends without being asked reach nobody", async () => {
    const poison = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned";
    const name = lab.upstream.script((request) => {
      request.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${poison}`);
    });
    const answers: string[] = [];
    for (let index = 0; index < 4; index += 1) {
      const answer = await call(`${url}/v1/lab/get/${index === 0 ? name : script}`, { key: account.key });
      answers.push(`${answer.status} ${answer.body.toString()}`);
    }
    expect(answers).toEqual(["200 ok", "200 served", "200 served", "200 served"]);
  });

  it("that begin with early hints are passed on without them", async () => {
    const name = lab.upstream.script((_, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      response.end("final");
    });
    const answer = await sendRaw(port, get(name, "Connection: close"));
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
    expect(answer).toMatch(/final$/);
  });

  it.each([
    ["a carriage return", "X-Split: a\rX-Injected: b"],
    ["a null", "X-Split: a\0b"],
    ["a control character", "X-Split: a\x01b"],
    ["a name that is none", "X Split: a"],
    ["a line that is none", "nothing at all"],
  ])("whose headers have %s split nothing, and are not charged", async (_, line) => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((request) => {
      request.socket.end(`HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`);
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: caller.key });
    expect(answer.headers).not.toHaveProperty("x-injected");
    if (answer.status !== 200) {
      expect(answer.status).toBe(502);
      await expect.poll(() => lab.callsOf(caller), { timeout: 5_000 }).toMatchObject([{ chargedMicros: 0 }]);
    } else {
      expect(answer.headers).not.toHaveProperty("x-split");
    }
  });

  it("that stream pass their trailers on, and may count their units there", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, { trailer: "Tollgate-Units, X-Checksum" });
      response.write("token token token");
      setImmediate(() => {
        response.addTrailers({ "Tollgate-Units": "3", "X-Checksum": "abc", "Tollgate-Call-Id": "forged" });
        response.end();
      });
    });
    const answer = await call(`${url}/v1/lab/tokens/${name}`, { key: caller.key });
    expect(answer.trailers).toEqual({ "x-checksum": "abc", "tollgate-price": "30" });
    expect(answer.headers).not.toHaveProperty("tollgate-price");
    await expect.poll(() => lab.callsOf(caller), { timeout: 5_000 }).toMatchObject([{ units: 3, chargedMicros: 30 }]);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 30 });
  });
});

describe("instances", () => {
  it("that refuse connections are passed over by calls that may be repeated, which all succeed", async () => {
    const caller = await lab.createAccount();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => call(`${url}/v1/half/get/${script}`, { key: caller.key })),
    );
    expect(answers.map(({ status }) => status)).toEqual(new Array(20).fill(200));
    await expect.poll(() => lab.callsOf(caller), { timeout: 5_000 }).toHaveLength(20);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 20 * PRICE });
  });

  it("that failed are set aside, so that calls that may not be repeated succeed as well", async () => {
    const options = { method: "POST", key: account.key, body: "x" };
    const answers = [];
    for (let index = 0; index < 20; index += 1) answers.push(await call(`${url}/v1/half/post/${script}`, options));
    // The first few may have found out.
    expect(answers.slice(10).map(({ status }) => status)).toEqual(new Array(10).fill(200));
  });

  it.each(["DELETE", "PUT"])(
    "that refuse connections are passed over by %s without a body, which is not repeated once it has gone out",
    async (method) => {
      const api = `idempotent-${method.toLowerCase()}`;
      // An address of its own, so that nobody else's failures have set it aside.
      const refusing = `http://127.0.0.1:${method === "PUT" ? 2 : 3}`;
      await lab.publish(api, [{ name: "item", method }], [refusing, lab.upstream.url]);
      lab.announce("catalog.published", { apiId: "", name: api });
      const statusOf = async (name: string): Promise<number> =>
        (await call(`${url}/v1/${api}/item/${name}`, { method, key: account.key })).status;
      await expect.poll(() => statusOf("none")).not.toBe(404);
      const statuses: number[] = [];
      for (let index = 0; index < 10; index += 1) statuses.push(await statusOf(script));
      expect(statuses).toEqual(new Array(10).fill(200));
      const breaking = lab.upstream.script((request) => request.socket.destroy());
      expect(await statusOf(breaking)).toBe(502);
      expect(lab.upstream.requestsOf(breaking)).toHaveLength(1);
    },
  );

  it("that cannot be reached are given up after a second", async () => {
    const startedAt = performance.now();
    const answer = await call(`${url}/v1/far/get/${script}`, { key: account.key });
    expect([502, 504]).toContain(answer.status);
    // Once again, on the only instance there is.
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });
});

it("bodies pass through in little memory, both ways at once, as slowly as the slowest side", async () => {
  await lab.publish("big", [{ name: "echo", method: "POST", bodyBytesMax: 200 * 1024 * 1024 }]);
  lab.announce("catalog.published", { apiId: "", name: "big" });
  const name = lab.upstream.script((request, response) => request.pipe(response));
  await expect
    .poll(async () => (await call(`${url}/v1/big/echo/${name}`, { method: "POST", key: account.key })).status)
    .toBe(200);
  const block = Buffer.alloc(256 * 1024);
  const blocks = 400;
  const socket = connect(port, "127.0.0.1");
  socket.write(head("POST", `/v1/big/echo/${name}`, `Content-Length: ${block.length * blocks}`, "Connection: close"));
  let received = 0;
  let externalMax = 0;
  const before = process.memoryUsage().external;
  socket.on("data", (chunk) => {
    received += chunk.length;
    externalMax = Math.max(externalMax, process.memoryUsage().external - before);
  });
  const ended = once(socket, "close");
  for (let index = 0; index < blocks; index += 1) if (!socket.write(block)) await once(socket, "drain");
  await ended;
  expect(received).toBeGreaterThan(block.length * blocks);
  // Client, gateway and upstream are one process here, and none of them holds more than what is on its way; what is on its
  // way and not collected yet is counted, too.
  expect(externalMax).toBeLessThan(64 * 1024 * 1024);
});
