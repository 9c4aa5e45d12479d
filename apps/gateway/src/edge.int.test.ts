import { once } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:net";
import { generateKeyText } from "@tollgate/services/keys";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, problemCode, sendRaw } from "./testing/client.ts";
import type { LabAccount } from "./testing/lab.ts";
import { Lab } from "./testing/lab.ts";

/** What reaches the gateway from strangers: shapes of HTTP that it must refuse, and keys that it must not serve. */
let lab: Lab;
let gateway: { readonly url: string; readonly port: number };
let account: LabAccount;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [
    { name: "get" },
    { name: "post", method: "POST" },
    { name: "item", path: "/items/{id}/{script}" },
    { name: "retired", isRetired: true },
  ]);
  gateway = await lab.startGateway();
  account = await lab.createAccount();
  script = lab.upstream.script((request, response) => request.resume().on("end", () => response.end("served")));
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

const head = (target: string, ...lines: string[]): string =>
  [`POST ${target} HTTP/1.1`, "Host: gateway", `Authorization: Bearer ${account.key}`, ...lines, "", ""].join("\r\n");

describe("messages that two servers may read differently are refused", () => {
  it.each([
    ["a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"]],
    ["chunks and a length", ["Transfer-Encoding: chunked", "Content-Length: 4"]],
    ["two lengths", ["Content-Length: 4", "Content-Length: 5"]],
    ["a length with a sign", ["Content-Length: +4"]],
    ["a folded line", ["X-Folded: a", " b"]],
    ["a space before the colon", ["Content-Length : 4"]],
    ["a coding that is not chunked", ["Transfer-Encoding: chunked, identity"]],
    ["a coding in disguise", ["Transfer-Encoding: \x0bchunked"]],
    ["a bare newline in a value", ["X-Value: a\nTransfer-Encoding: chunked"]],
  ])("%s", async (_, lines) => {
    const before = lab.upstream.requestsOf(script).length;
    const answer = await sendRaw(gateway.port, `${head(`/v1/lab/post/${script}`, ...lines)}0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(lab.upstream.requestsOf(script)).toHaveLength(before);
  });

  it("a malformed chunk ends the call without an answer from the upstream being charged", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((request) => request.resume());
    const socket = connect(gateway.port, "127.0.0.1");
    socket.on("error", () => undefined).resume();
    socket.write(head(`/v1/lab/post/${name}`, "Transfer-Encoding: chunked").replace(account.key, caller.key));
    socket.write("5\r\nhello\r\n");
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    socket.write("zz\r\nhello\r\n0\r\n\r\n");
    await expect.poll(async () => (await lab.callsOf(caller)).length).toBe(1);
    expect((await lab.callsOf(caller))[0]).toMatchObject({ outcome: "failed", chargedMicros: 0 });
  });

  it("a head larger than 16 KiB is a 431", async () => {
    const answer = await sendRaw(gateway.port, head(`/v1/lab/post/${script}`, `X-Large: ${"a".repeat(17_000)}`));
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  it("a head that does not come to an end is a 408", async () => {
    const answer = await sendRaw(gateway.port, "GET /v1/lab/get/x HTTP/1.1\r\nHost: gateway\r\nX-Slow: ");
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("a request without a host is a 400", async () => {
    const answer = await sendRaw(gateway.port, "GET /v1/lab/get/x HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("an absolute target is a 400 in the answer's usual form", async () => {
    const answer = await sendRaw(
      gateway.port,
      head(`http://other.example/v1/lab/post/${script}`, "Content-Length: 0", "Connection: close"),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"bad_target"');
  });
});

describe("one connection with several requests", () => {
  it("answers pipelined requests in their order", async () => {
    const late = lab.upstream.script((_, response) => setTimeout(() => response.end("late"), 50));
    const get = (name: string, ...lines: string[]): string =>
      head(`/v1/lab/get/${name}`, ...lines).replace("POST", "GET");
    const text = await sendRaw(gateway.port, get(late) + get(script, "Connection: close"));
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(text.indexOf("late")).toBeLessThan(text.indexOf("served"));
  });

  it("does not write into an answer that is under way when garbage follows its request", async () => {
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("begun");
    });
    const socket = connect(gateway.port, "127.0.0.1");
    socket.write(head(`/v1/lab/get/${name}`).replace("POST", "GET"));
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (received.endsWith("begun")) socket.write("garbage\r\n\r\n");
    });
    socket.on("error", () => undefined);
    await once(socket, "close");
    expect(received.endsWith("begun")).toBe(true);
  });

  it("serves the next call on a connection whose last body was too large", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const options = { method: "POST", key: account.key, agent };
    const body = Buffer.alloc(11 * 1024 * 1024);
    const refused = await call(`${gateway.url}/v1/lab/post/${script}`, {
      ...options,
      body,
      headers: { "content-length": String(body.length) },
    });
    const served = await call(`${gateway.url}/v1/lab/post/${script}`, { ...options, body: "small" });
    agent.destroy();
    expect([refused.status, served.status]).toEqual([413, 200]);
  });
});

describe("paths", () => {
  it.each(["..", "%2e%2e", ".%2E", "a%2fb", "a%5cb", "%00", "%", "%c0%ae%c0%ae", "..;", "..;a=b", "", "a/b", "%2e"])(
    "with the segment %j reach no upstream",
    async (segment) => {
      const answer = await sendRaw(
        gateway.port,
        head(`/v1/lab/item/${segment}/${script}`, "Connection: close").replace("POST", "GET"),
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('"code":"bad_path"');
    },
  );

  it.each(["caf%C3%A9", "a%20b", "%252e%252e", "a.b..c", "~@:!$"])(
    "with the segment %j go on as they are",
    async (segment) => {
      const echo = lab.upstream.script((request, response) => response.end(request.url));
      const answer = await call(`${gateway.url}/v1/lab/item/${segment}/${echo}`, { key: account.key });
      expect(answer.body.toString()).toBe(`/items/${segment}/${echo}`);
    },
  );

  it.each([
    ["/v1/none/get/x", "api_not_found", 404],
    ["/v1/lab/none", "endpoint_not_found", 404],
    ["/v1/lab/retired/x", "endpoint_retired", 410],
    ["/v1/lab", "route_not_found", 404],
    ["/v2/lab/get", "route_not_found", 404],
    ["/v1/lab/post/x", "method_not_allowed", 405],
  ])("%s is refused with %s", async (path, code, status) => {
    const answer = await call(gateway.url + path, { key: account.key });
    expect([answer.status, problemCode(answer)]).toEqual([status, code]);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
  });
});

describe("keys", () => {
  const refusalOf = async (key: string | undefined): Promise<[number, string]> => {
    const answer = await call(`${gateway.url}/v1/lab/get/${script}`, key === undefined ? {} : { key });
    return [answer.status, problemCode(answer)];
  };

  it("are asked for when there is none", async () => {
    expect(await refusalOf(undefined)).toEqual([401, "missing_key"]);
  });

  it("with a wrong checksum are refused although no database answers", async () => {
    const lone = await lab.startGateway({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" });
    const key = generateKeyText("live");
    const wrong = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;
    const answer = await call(`${lone.url}/v1/lab/get/x`, { key: wrong });
    expect([answer.status, problemCode(answer)]).toEqual([401, "invalid_key"]);
  });

  it("that nobody has are refused", async () => {
    expect(await refusalOf(generateKeyText("live"))).toEqual([401, "invalid_key"]);
  });

  it("that were revoked are refused", async () => {
    const { key } = await lab.createAccount({ status: "revoked" });
    expect(await refusalOf(key)).toEqual([401, "invalid_key"]);
  });

  it("that have expired are refused", async () => {
    const { key } = await lab.createAccount({ expiresAt: new Date(Date.now() - 1) });
    expect(await refusalOf(key)).toEqual([401, "expired_key"]);
  });

  it("that are blocked are refused with the operator's words", async () => {
    const { key } = await lab.createAccount({ status: "blocked", blockedMessage: "Call us about your bill" });
    const answer = await call(`${gateway.url}/v1/lab/get/${script}`, { key });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body.toString()).detail).toBe("Call us about your bill");
  });

  it("are refused from addresses that they are not for", async () => {
    const { key } = await lab.createAccount({ allowedCidrs: ["10.0.0.0/8"] });
    expect(await refusalOf(key)).toEqual([403, "address_not_allowed"]);
  });

  it("are for networks whatever a caller writes into X-Forwarded-For, where no proxy is trusted", async () => {
    const { key } = await lab.createAccount({ allowedCidrs: ["10.0.0.0/8"] });
    const headers = { "x-forwarded-for": "10.1.1.1" };
    const answer = await call(`${gateway.url}/v1/lab/get/${script}`, { key, headers });
    expect([answer.status, problemCode(answer)]).toEqual([403, "address_not_allowed"]);
  });

  it("behind a proxy are for the addresses that it saw, and for nothing that a caller wrote before", async () => {
    const behind = await lab.startGateway({ TRUSTED_PROXY_HOPS: 1 });
    // With the proxy's own network in it: that must let nobody in.
    const { key } = await lab.createAccount({ allowedCidrs: ["10.0.0.0/8", "127.0.0.0/8"] });
    const statusFrom = async (...forwarded: string[]): Promise<number> => {
      const lines = forwarded.map((value) => `X-Forwarded-For: ${value}\r\n`).join("");
      const start = `GET /v1/lab/get/${script} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\n`;
      const answer = await sendRaw(behind.port, `${start}${lines}Connection: close\r\n\r\n`);
      return Number(answer.slice(9, 12));
    };
    expect(await statusFrom("10.1.1.1")).toBe(200);
    expect(await statusFrom("203.0.113.9, 10.1.1.1")).toBe(200);
    expect(await statusFrom("203.0.113.9", "10.1.1.1")).toBe(200);
    expect(await statusFrom("10.1.1.1, 203.0.113.9")).toBe(403);
    expect(await statusFrom("10.1.1.1", "203.0.113.9")).toBe(403);
    expect(await statusFrom("10.1.1.1, nonsense")).toBe(403);
    expect(await statusFrom()).toBe(403);
    for (const { headers } of lab.upstream.requestsOf(script)) expect(headers).not.toHaveProperty("x-forwarded-for");
  });

  it("are refused by APIs that they are not for", async () => {
    const { key } = await lab.createAccount({ scopes: ["other"] });
    expect(await refusalOf(key)).toEqual([403, "scope_missing"]);
  });

  it("with a limit are refused beyond it, and told when to come again", async () => {
    const { key } = await lab.createAccount({ rateLimitPerSecond: 3 });
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => call(`${gateway.url}/v1/lab/get/${script}`, { key })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 200, 200, 429, 429]);
    const refused = answers.find((answer) => answer.status === 429);
    expect(["1", "2"]).toContain(refused?.headers["retry-after"]);
  });

  it("without credit are refused, and the refusal costs none of their rate", async () => {
    const { key } = await lab.createAccount({ creditMicros: 999, rateLimitPerSecond: 2 });
    for (let index = 0; index < 5; index += 1) expect(await refusalOf(key)).toEqual([402, "insufficient_credit"]);
  });

  it("with a cap, or of a project with one, are refused when it is reached", async () => {
    const capped = await lab.createAccount({ monthlySpendCapMicros: 1_999 });
    const poor = await lab.createAccount({ projectCapMicros: 1_999 });
    for (const [caller, code] of [
      [capped, "key_cap_reached"],
      [poor, "project_cap_reached"],
    ] as const) {
      expect((await call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key })).status).toBe(200);
      expect(await refusalOf(caller.key)).toEqual([402, code]);
    }
  });

  it("for tests are served without charge", async () => {
    const caller = await lab.createAccount({ mode: "test", creditMicros: 0 });
    const answer = await call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key });
    expect([answer.status, answer.headers["tollgate-price"]]).toEqual([200, "0"]);
    await expect.poll(async () => (await lab.callsOf(caller))[0]).toMatchObject({ outcome: "test", chargedMicros: 0 });
  });
});
