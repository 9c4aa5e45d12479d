import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as sendRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, problemCode } from "./testing/client.ts";
import type { LabAccount } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

const MIB = 1024 * 1024;
const BROKEN = "http://127.0.0.1:1";

let lab: Lab;
let url: string;
let account: LabAccount;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [
    { name: "get" },
    { name: "post", method: "POST" },
    { name: "upload", method: "POST", bodyBytesMax: 100 * MIB },
    { name: "picky", isChargedOn4xx: true },
    { name: "quick", timeoutMs: 300 },
    { name: "tokens", unit: "token", unitsMax: 50, priceMicros: 10 },
    { name: "bytes", unit: "byte", unitsMax: 1_000, priceMicros: 2 },
    { name: "slow", unit: "millisecond", unitsMax: 100_000, priceMicros: 3 },
    { name: "free-tokens", unit: "token", unitsMax: 50, priceMicros: 0 },
    { name: "retired", isRetired: true },
  ]);
  await lab.publish("nowhere", [{ name: "get" }], [BROKEN]);
  ({ url } = await lab.startGateway());
  account = await lab.createAccount();
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

/** The one call that a fresh account made, once it is folded. */
async function onlyCallOf(caller: LabAccount) {
  await expect.poll(() => lab.callsOf(caller), { timeout: 5_000 }).toHaveLength(1);
  return (await lab.callsOf(caller))[0];
}

const sha = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function* megabytes(count: number): AsyncGenerator<Buffer> {
  const block = randomBytes(MIB / 16);
  for (let index = 0; index < count * 16; index += 1) yield block;
}

describe("the answer", () => {
  it("passes a body of known length with its length, price and call id, and charges the call once", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, { "content-length": "5", "content-type": "text/plain" }).end("hello");
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: caller.key });
    expect(answer).toMatchObject({ status: 200, isBroken: false });
    expect(answer.body.toString()).toBe("hello");
    expect(answer.headers["content-length"]).toBe("5");
    expect(answer.headers["tollgate-price"]).toBe(String(PRICE));
    const recorded = await onlyCallOf(caller);
    expect(recorded).toMatchObject({
      outcome: "charged",
      status: 200,
      chargedMicros: PRICE,
      units: 1,
      responseBytes: 5,
    });
    expect(recorded?.id).toBe(answer.headers["tollgate-call-id"]);
  });

  it("says what is left of the account's credit, after what the call cost", async () => {
    const caller = await lab.createAccount({ creditMicros: 5 * PRICE });
    const name = lab.upstream.script((_, response) => response.end("served"));
    const left: (string | string[] | undefined)[] = [];
    for (let index = 0; index < 5; index += 1) {
      left.push((await call(`${url}/v1/lab/get/${name}`, { key: caller.key })).headers["tollgate-balance"]);
    }
    expect(left).toEqual([4, 3, 2, 1, 0].map((calls) => String(calls * PRICE)));
  });

  it("passes a chunked body whole", async () => {
    const name = lab.upstream.script((_, response) => {
      response.write("first ");
      setImmediate(() => response.end("second"));
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key });
    expect(answer).toMatchObject({ status: 200, isBroken: false });
    expect(answer.headers["transfer-encoding"]).toBe("chunked");
    expect(answer.body.toString()).toBe("first second");
  });

  it("sends the head of a stream before its first event, and every event when it comes", async () => {
    let send: (text: string) => void = () => undefined;
    let end: () => void = () => undefined;
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      send = (text) => response.write(text);
      end = () => response.end();
    });
    const request = sendRequest(`${url}/v1/lab/get/${name}`, {
      headers: { authorization: `Bearer ${account.key}` },
    }).end();
    const [response] = await once(request, "response");
    expect(response.headers["content-type"]).toBe("text/event-stream");
    for (const text of ["data: 1\n\n", "data: 2\n\n"]) {
      send(text);
      const [chunk] = await once(response, "data");
      expect(String(chunk)).toBe(text);
    }
    end();
    response.resume();
    await once(response, "end");
    expect(response.complete).toBe(true);
  });

  it.each([204, 304])("passes a %d, which has no body", async (status) => {
    const name = lab.upstream.script((_, response) => response.writeHead(status, { etag: '"e"' }).end());
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key });
    expect(answer).toMatchObject({ status, isBroken: false });
    expect(answer.headers.etag).toBe('"e"');
    expect(answer.body).toHaveLength(0);
  });

  it("passes HEAD to a GET endpoint, with the length that the body would have", async () => {
    const name = lab.upstream.script((_, response) => response.writeHead(200, { "content-length": "1234" }).end());
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key, method: "HEAD" });
    expect(answer).toMatchObject({ status: 200, isBroken: false });
    expect(answer.headers["content-length"]).toBe("1234");
    expect(lab.upstream.requestsOf(name)[0]?.method).toBe("HEAD");
  });

  it("passes several cookies, and none of the upstream's hop-by-hop headers or lookalikes of its own", async () => {
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, [
        ...["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Tollgate-Price", "0", "Tollgate-Units", "7"],
        ...["Connection", "close, X-Hop", "X-Hop", "secret", "Content-Length", "0"],
      ]);
      response.end();
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key });
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(answer.headers["tollgate-price"]).toBe(String(PRICE));
    expect(answer.headers).not.toHaveProperty("x-hop");
    expect(answer.headers).not.toHaveProperty("tollgate-units");
  });

  it("survives a reason phrase that HTTP does not allow, and goes on serving others", async () => {
    const name = lab.upstream.script((request) => {
      request.socket.end(
        Buffer.from("HTTP/1.1 200 \u2713 fine\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "utf8"),
      );
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key });
    expect(answer).toMatchObject({ status: 200, isBroken: false });
    expect(answer.body.toString()).toBe("ok");
  });
});

describe("the request", () => {
  it("carries a signed token, a trace and the call's id instead of the caller's key", async () => {
    const name = lab.upstream.script((_, response) => response.end());
    const trace = "0af7651916cd43dd8448eb211c80319c";
    await call(`${url}/v1/lab/get/${name}?q=%20a&r=/..`, {
      key: account.key,
      headers: {
        traceparent: `00-${trace}-b7ad6b7169203331-01`,
        "x-forwarded-for": "6.6.6.6",
        connection: "x-private, close",
        "x-private": "mine",
      },
    });
    const request = lab.upstream.requestsOf(name)[0];
    expect(request?.url).toBe(`/run/${name}?q=%20a&r=/..`);
    expect(request?.headers.authorization).toMatch(/^Bearer ey/);
    expect(JSON.stringify(request?.rawHeaders)).not.toContain(account.key);
    expect(request?.headers["traceparent"]).toMatch(new RegExp(`^00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`));
    expect(request?.headers).not.toHaveProperty("x-forwarded-for");
    expect(request?.headers["tollgate-call-id"]).toMatch(/^call_/);
    expect(request?.headers).not.toHaveProperty("x-private");
  });

  it("takes the key from basic credentials, too", async () => {
    const name = lab.upstream.script((_, response) => response.end());
    const authorization = `Basic ${Buffer.from(`anyone:${account.key}`).toString("base64")}`;
    const answer = await call(`${url}/v1/lab/get/${name}`, { headers: { authorization } });
    expect(answer.status).toBe(200);
  });

  it.each([
    ["of known length", true],
    ["in chunks", false],
  ])("streams 10 MiB %s both ways, unchanged", async (_, isLengthKnown) => {
    const name = lab.upstream.script((request, response) => {
      response.writeHead(200, isLengthKnown ? { "content-length": String(10 * MIB) } : {});
      request.pipe(response);
    });
    const body = randomBytes(10 * MIB);
    const answer = await call(`${url}/v1/lab/post/${name}`, {
      method: "POST",
      key: account.key,
      ...(isLengthKnown ? { body, headers: { "content-length": String(body.length) } } : { body: chunksOf(body) }),
    });
    expect(answer).toMatchObject({ status: 200, isBroken: false });
    expect(sha(answer.body)).toBe(sha(body));
  });

  it("reads no more of the body than a slow upstream takes", async () => {
    let release: () => void = () => undefined;
    const name = lab.upstream.script((request, response) => {
      request.pause();
      release = () => request.resume().on("end", () => response.end());
    });
    let sent = 0;
    const body = async function* (): AsyncGenerator<Buffer> {
      for await (const block of megabytes(64)) {
        sent += block.length;
        yield block;
      }
    };
    const answer = call(`${url}/v1/lab/upload/${name}`, { method: "POST", key: account.key, body: body() });
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    let before = -1;
    await expect
      .poll(
        () => {
          const isStill = sent === before;
          before = sent;
          return isStill;
        },
        { interval: 100 },
      )
      .toBe(true);
    // What the kernel's socket buffers of both connections hold, and no more.
    const stoppedAt = sent;
    release();
    expect((await answer).status).toBe(200);
    expect(sent).toBe(64 * MIB);
    expect(stoppedAt).toBeLessThan(sent);
  });

  it.each([
    ["announced", true],
    ["found out on the way", false],
  ])("answers 413 to a body over the limit, %s, and records nothing", async (_, isAnnounced) => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((request, response) => request.resume().on("end", () => response.end()));
    const answer = await call(`${url}/v1/lab/post/${name}`, {
      method: "POST",
      key: caller.key,
      body: megabytes(11),
      ...(isAnnounced ? { headers: { "content-length": String(11 * MIB) } } : {}),
    });
    expect(answer.status).toBe(413);
    expect(problemCode(answer)).toBe("body_too_large");
    expect(JSON.parse(answer.body.toString()).instance).toBe(`/v1/lab/post/${name}`);
    // The next call of the account is the only one that is on record.
    const next = lab.upstream.script((_, response) => response.end());
    await call(`${url}/v1/lab/get/${next}`, { key: caller.key });
    expect(await onlyCallOf(caller)).toMatchObject({ status: 200, chargedMicros: PRICE });
  });

  it("passes on an answer that comes before the body was read", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((request) => {
      request.pause().socket.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope");
    });
    const body = randomBytes(8 * MIB);
    const answer = await call(`${url}/v1/lab/post/${name}`, {
      method: "POST",
      key: caller.key,
      body,
      headers: { "content-length": String(body.length) },
    });
    expect(answer).toMatchObject({ status: 401, isBroken: false });
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "uncharged", status: 401, chargedMicros: 0 });
  });
});

async function* chunksOf(body: Buffer): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < body.length; offset += 100_000) yield body.subarray(offset, offset + 100_000);
}

describe("failures of the upstream", () => {
  it("breaks off an answer that the upstream broke off, charges nothing and records a failure", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("only a part", () => response.destroy());
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: caller.key });
    expect(answer).toMatchObject({ status: 200, isBroken: true });
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 502, chargedMicros: 0 });
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 0 });
  });

  it("breaks off a chunked answer whose last chunk never came", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => {
      response.write("a part", () => response.destroy());
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: caller.key });
    expect(answer.isBroken).toBe(true);
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 502, chargedMicros: 0 });
  });

  it("passes on a 500 and charges nothing", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => response.writeHead(500).end("oh"));
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: caller.key });
    expect(answer.status).toBe(500);
    expect(answer.headers["tollgate-price"]).toBe("0");
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 500, chargedMicros: 0, units: 0 });
  });

  it("answers 502 when nobody listens there, and charges nothing", async () => {
    const caller = await lab.createAccount();
    const answer = await call(`${url}/v1/nowhere/get/s`, { key: caller.key });
    expect(answer.status).toBe(502);
    expect(problemCode(answer)).toBe("upstream_unreachable");
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 502, chargedMicros: 0 });
  });

  it("answers 504 when the first byte does not come in time, asks once, and charges nothing", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script(() => undefined);
    const answer = await call(`${url}/v1/lab/quick/${name}`, { key: caller.key });
    expect(answer.status).toBe(504);
    expect(problemCode(answer)).toBe("upstream_timeout");
    expect(lab.upstream.requestsOf(name)).toHaveLength(1);
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 504, chargedMicros: 0 });
  });

  it("answers 502 to what is not HTTP", async () => {
    const name = lab.upstream.script((request) => request.socket.end("220 mail.example.com ready\r\n"));
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key });
    expect(answer.status).toBe(502);
  });

  it("answers 502 to an answer that states two lengths", async () => {
    const name = lab.upstream.script((request) => {
      request.socket.end(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      );
    });
    const answer = await call(`${url}/v1/lab/get/${name}`, { key: account.key });
    expect(answer.status).toBe(502);
  });
});

describe("the price", () => {
  it.each([
    ["get", "uncharged", 0],
    ["picky", "charged", PRICE],
  ])("of a 404 at the endpoint %s: %s", async (endpoint, outcome, chargedMicros) => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => response.writeHead(404).end("none"));
    const answer = await call(`${url}/v1/lab/${endpoint}/${name}`, { key: caller.key });
    expect(answer.status).toBe(404);
    expect(answer.headers["tollgate-price"]).toBe(String(chargedMicros));
    expect(await onlyCallOf(caller)).toMatchObject({ outcome, status: 404, chargedMicros });
  });

  it.each([
    ["7", 7],
    ["0", 0],
    ["51", 50],
    ["99999999999999", 50],
    ["-1", 50],
    ["1e3", 50],
    ["many", 50],
  ])("of units that the upstream says are %s: %d units", async (stated, units) => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => response.writeHead(200, { "tollgate-units": stated }).end());
    const answer = await call(`${url}/v1/lab/tokens/${name}`, { key: caller.key });
    expect(answer.headers["tollgate-price"]).toBe(String(units * 10));
    expect(await onlyCallOf(caller)).toMatchObject({ units, chargedMicros: units * 10 });
  });

  it("of units that the upstream does not state is that of the most units", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => response.end());
    await call(`${url}/v1/lab/tokens/${name}`, { key: caller.key });
    expect(await onlyCallOf(caller)).toMatchObject({ units: 50, chargedMicros: 500 });
  });

  it("of bytes comes in a trailer when it is known only at the end", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => {
      response.write("a".repeat(60));
      setImmediate(() => response.end("b".repeat(40)));
    });
    const answer = await call(`${url}/v1/lab/bytes/${name}`, { key: caller.key });
    expect(answer.trailers["tollgate-price"]).toBe("200");
    expect(answer.headers).not.toHaveProperty("tollgate-price");
    expect(await onlyCallOf(caller)).toMatchObject({ units: 100, chargedMicros: 200, responseBytes: 100 });
  });

  it("of bytes never exceeds what was set aside", async () => {
    const caller = await lab.createAccount({ creditMicros: 2_000 });
    const name = lab.upstream.script((_, response) => response.end("x".repeat(5_000)));
    const answer = await call(`${url}/v1/lab/bytes/${name}`, { key: caller.key });
    expect(answer.body).toHaveLength(5_000);
    expect(await onlyCallOf(caller)).toMatchObject({ units: 1_000, chargedMicros: 2_000 });
  });

  it("of milliseconds is that of the time it took", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => setTimeout(() => response.end("done"), 30));
    await call(`${url}/v1/lab/slow/${name}`, { key: caller.key });
    const recorded = await onlyCallOf(caller);
    expect(recorded?.units).toBeGreaterThanOrEqual(30);
    expect(recorded?.chargedMicros).toBe((recorded?.units ?? 0) * 3);
  });

  it("of a free call over the month's free calls is one micro, whatever it is measured in", async () => {
    const caller = await lab.createAccount({ freeCallsPerMonth: 1, creditMicros: 2 });
    const name = lab.upstream.script((_, response) => response.writeHead(200, { "tollgate-units": "40" }).end());
    const statuses: number[] = [];
    for (let index = 0; index < 4; index += 1) {
      statuses.push((await call(`${url}/v1/lab/free-tokens/${name}`, { key: caller.key })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 402]);
    await expect.poll(() => lab.callsOf(caller)).toHaveLength(3);
    expect((await lab.callsOf(caller)).map((recorded) => recorded.chargedMicros)).toEqual([0, 1, 1]);
    await expect.poll(() => lab.walletOf(caller)).toEqual({ used: 2, held: 0 });
  });
});

describe("a client that leaves", () => {
  it("before the upstream has answered pays nothing", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script(() => undefined);
    const request = sendRequest(`${url}/v1/lab/get/${name}`, { headers: { authorization: `Bearer ${caller.key}` } });
    request.on("error", () => undefined);
    request.end();
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    const upstreamClosed = once(lab.upstream.requestsOf(name)[0]?.socket ?? request, "close");
    request.destroy();
    await upstreamClosed;
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 499, chargedMicros: 0 });
  });

  it("after the answer has begun pays for the call, and the upstream is let go", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => response.write("begun"));
    const request = sendRequest(`${url}/v1/lab/get/${name}`, { headers: { authorization: `Bearer ${caller.key}` } });
    request.on("error", () => undefined);
    request.end();
    const [response] = await once(request, "response");
    response.on("error", () => undefined);
    const upstreamClosed = once(lab.upstream.requestsOf(name)[0]?.socket ?? request, "close");
    request.destroy();
    await upstreamClosed;
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "charged", status: 200, chargedMicros: PRICE });
  });

  it("while its body is on the way pays nothing", async () => {
    const caller = await lab.createAccount();
    const name = lab.upstream.script((request) => request.resume());
    const request = sendRequest(`${url}/v1/lab/post/${name}`, {
      method: "POST",
      headers: { authorization: `Bearer ${caller.key}`, "content-length": "1000" },
    });
    request.on("error", () => undefined);
    request.write("a part");
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    request.destroy();
    expect(await onlyCallOf(caller)).toMatchObject({ outcome: "failed", status: 499, chargedMicros: 0 });
  });
});
