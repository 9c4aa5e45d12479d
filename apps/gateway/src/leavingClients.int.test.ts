import { once } from "node:events";
import { request as sendRequest } from "node:http";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { call, problemCode } from "./testing/client.ts";
import type { LabAccount } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

/** Clients that leave at the worst moment: the call must be on its books once, and nothing may stay held for it. */
const WAIT = { timeout: 15_000, interval: 50 };
const CONNECTIONS = 4;
const MIB = 1024 * 1024;

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [
    { name: "get" },
    { name: "post", method: "POST", bodyBytesMax: 1_000, priceMicros: PRICE },
    { name: "quick", timeoutMs: 500 },
    { name: "quickly", method: "POST", timeoutMs: 500 },
    { name: "tokens", unit: "token", unitsMax: 50, priceMicros: 10 },
  ]);
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

/** Sends a call and leaves as soon as any of its body has come. */
async function leaveOnFirstData(url: string, { key }: LabAccount): Promise<void> {
  const request = sendRequest(url, { headers: { authorization: `Bearer ${key}` }, agent: false });
  request.on("error", () => undefined);
  request.end();
  const [response] = await once(request, "response");
  response.on("error", () => undefined);
  await once(response, "data");
  request.destroy();
}

it.each(["get", "tokens"])(
  "a client that leaves with the last event, while the call is forced to the disk, pays once (%s)",
  async (endpoint) => {
    const gateway = await lab.startGateway({ GATEWAY_SPOOL_FSYNC: "on" });
    const caller = await lab.createAccount();
    const name = lab.upstream.script((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "tollgate-units": "7" });
      response.write("data: [DONE]\n\n");
      setImmediate(() => response.end());
    });
    const calls = 60;
    const url = `${gateway.url}/v1/lab/${endpoint}/${name}`;
    await Promise.all(Array.from({ length: calls }, () => leaveOnFirstData(url, caller)));
    const price = endpoint === "get" ? PRICE : 70;
    await expect.poll(() => lab.walletOf(caller), WAIT).toMatchObject({ used: calls * price });
    expect(new Set((await lab.callsOf(caller)).map(({ id }) => id)).size).toBe(calls);
    await gateway.stop();
    expect(await lab.walletOf(caller)).toEqual({ used: calls * price, held: 0 });
  },
);

const pipelined = ({ key }: LabAccount, paths: readonly string[]): string =>
  paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\n\r\n`).join("");

it("calls that were sent ahead on one connection end with it, and none of them holds the upstream or a shutdown", async () => {
  const gateway = await lab.startGateway();
  const caller = await lab.createAccount();
  const silent = lab.upstream.script(() => undefined);
  const block = Buffer.alloc(MIB);
  const endless = lab.upstream.script((_, response) => {
    const write = (): void => {
      while (response.write(block));
    };
    response.on("drain", write);
    write();
  });
  const ahead = 12;
  const socket = connect(gateway.port, "127.0.0.1");
  socket.on("error", () => undefined);
  const paths = [silent, ...Array.from({ length: ahead }, () => endless)].map((name) => `/v1/lab/get/${name}`);
  socket.write(pipelined(caller, paths));
  await expect.poll(() => lab.upstream.requestsOf(endless).length, WAIT).toBe(ahead);
  const letGo = lab.upstream
    .requestsOf(endless)
    .map(({ socket: upstream }) => new Promise((resolve) => upstream.on("close", resolve)));
  socket.destroy();
  await Promise.all(letGo);
  await expect.poll(() => lab.callsOf(caller), WAIT).toHaveLength(ahead + 1);
  await gateway.stop();
  expect(await lab.walletOf(caller)).toEqual({ used: ahead * PRICE, held: 0 });
});

/** Takes all connections of the upstream, by calls that are begun and do not end. */
async function fill(url: string, caller: LabAccount, method: string): Promise<Socket[]> {
  const name = lab.upstream.script((request, response) => {
    request.resume();
    response.write("begun");
  });
  const sockets: Socket[] = [];
  for (let index = 0; index < CONNECTIONS; index += 1) {
    const request = sendRequest(`${url}/v1/lab/${method === "GET" ? "get" : "post"}/${name}`, {
      method,
      headers: { authorization: `Bearer ${caller.key}`, ...(method === "GET" ? {} : { "content-length": "1" }) },
      agent: false,
    });
    request.on("error", () => undefined);
    request.end(method === "GET" ? undefined : "x");
    const [response] = await once(request, "response");
    response.on("error", () => undefined);
    sockets.push(response.socket as Socket);
  }
  return sockets;
}

it.each([
  ["GET", "quick"],
  ["POST", "quickly"],
])(
  "a %s that finds no connection to the upstream waits no longer than for an answer, and is not charged",
  async (method, endpoint) => {
    const gateway = await lab.startGateway({ GATEWAY_UPSTREAM_CONNECTIONS: CONNECTIONS });
    const caller = await lab.createAccount();
    const sockets = await fill(gateway.url, caller, method);
    const name = lab.upstream.script((_, response) => response.end("late"));
    const options = { key: caller.key, method, ...(method === "GET" ? {} : { body: "x" }) };
    const answer = await call(`${gateway.url}/v1/lab/${endpoint}/${name}`, options);
    expect([answer.status, problemCode(answer)]).toEqual([504, "upstream_timeout"]);
    expect(lab.upstream.requestsOf(name)).toHaveLength(0);
    for (const socket of sockets) socket.destroy();
    // What ended leaves room again.
    await expect
      .poll(async () => (await call(`${gateway.url}/v1/lab/${endpoint}/${name}`, options)).status, WAIT)
      .toBe(200);
    await gateway.stop();
    expect(await lab.walletOf(caller)).toEqual({ used: (CONNECTIONS + 1) * PRICE, held: 0 });
  },
);

it("a body that grows too large while the answer is under way ends the call, which is on its books and charged", async () => {
  const gateway = await lab.startGateway();
  const caller = await lab.createAccount();
  const name = lab.upstream.script((request, response) => {
    request.resume();
    request.on("error", () => undefined);
    response.write("begun");
  });
  const request = sendRequest(`${gateway.url}/v1/lab/post/${name}`, {
    method: "POST",
    headers: { authorization: `Bearer ${caller.key}`, "transfer-encoding": "chunked" },
    agent: false,
  });
  request.on("error", () => undefined);
  request.write("x");
  const [response] = await once(request, "response");
  const ended = new Promise((resolve) => response.on("close", resolve));
  response.on("error", () => undefined);
  response.resume();
  request.write(Buffer.alloc(2_000));
  await ended;
  expect(response.complete).toBe(false);
  await expect.poll(() => lab.callsOf(caller), WAIT).toMatchObject([{ status: 200, chargedMicros: PRICE }]);
});
