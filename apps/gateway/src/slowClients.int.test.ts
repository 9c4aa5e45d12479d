import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { delay } from "@tollgate/kernel";
import { afterAll, beforeAll, expect, it } from "vitest";
import { call } from "./testing/client.ts";
import type { LabAccount } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

/** Clients that hold a connection, an upstream and credit without using them, and those that are only slow. */
const STALL_MS = 2_000;
const WAIT = { timeout: 30_000, interval: 50 };
const MIB = 1024 * 1024;

let lab: Lab;
let gateway: { readonly url: string; readonly port: number };

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [{ name: "get" }, { name: "post", method: "POST" }]);
  gateway = await lab.startGateway({}, { stallMs: STALL_MS });
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

interface Client {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  received(): string;
}

function send({ key }: LabAccount, method: string, path: string, ...lines: string[]): Client {
  const socket = connect(gateway.port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  const head = [`${method} ${path} HTTP/1.1`, "Host: gateway", `Authorization: Bearer ${key}`, ...lines, "", ""];
  socket.write(head.join("\r\n"));
  return { socket, closed: once(socket, "close"), received: () => received };
}

it.each([
  ["of a known length", "Content-Length: 1000", "begun"],
  ["in chunks", "Transfer-Encoding: chunked", "5\r\nbegun\r\n"],
])(
  "a body %s that stops is given up with a 400, uncharged, and nobody takes that for the upstream's fault",
  async (_, line, text) => {
    const caller = await lab.createAccount();
    let aborted = 0;
    const name = lab.upstream.script((request) => request.resume().on("close", () => (aborted += 1)));
    const clients = Array.from({ length: 5 }, () => send(caller, "POST", `/v1/lab/post/${name}`, line));
    for (const { socket } of clients) socket.write(text);
    await Promise.all(clients.map(({ closed }) => closed));
    for (const client of clients) {
      expect(client.received()).toMatch(/^HTTP\/1\.1 400 /);
      expect(client.received()).toContain('"code":"body_stalled"');
    }
    await expect.poll(() => aborted, WAIT).toBe(5);
    const echo = lab.upstream.script((request, response) => request.pipe(response));
    const next = await call(`${gateway.url}/v1/lab/post/${echo}`, { method: "POST", key: caller.key, body: "whole" });
    expect([next.status, next.body.toString()]).toEqual([200, "whole"]);
    await expect.poll(async () => (await lab.callsOf(caller)).length, WAIT).toBe(1);
    await expect.poll(() => lab.walletOf(caller), WAIT).toMatchObject({ used: PRICE });
  },
);

it("a body that comes slowly and steadily arrives whole, however long it takes", async () => {
  const caller = await lab.createAccount();
  const echo = lab.upstream.script((request, response) => request.pipe(response));
  const bytes = 15;
  const client = send(caller, "POST", `/v1/lab/post/${echo}`, `Content-Length: ${bytes}`, "Connection: close");
  for (let sent = 0; sent < bytes; sent += 1) {
    client.socket.write("x");
    await delay((2 * STALL_MS) / bytes);
  }
  await client.closed;
  expect(client.received()).toMatch(/^HTTP\/1\.1 200 /);
  expect(client.received().split("\r\n\r\n")[1]?.match(/x/g)).toHaveLength(bytes);
});

it("an upstream that reads slowly, or thinks for long, is waited for: its client does all that it can", async () => {
  const caller = await lab.createAccount();
  const name = lab.upstream.script((request, response) => {
    request.pause();
    setTimeout(
      () => request.resume().on("end", () => setTimeout(() => response.end("read"), STALL_MS * 1.5)),
      STALL_MS * 1.5,
    );
  });
  const body = Buffer.alloc(8 * MIB);
  const answer = await call(`${gateway.url}/v1/lab/post/${name}`, {
    method: "POST",
    key: caller.key,
    body,
    headers: { "content-length": String(body.length) },
  });
  expect([answer.status, answer.body.toString()]).toEqual([200, "read"]);
});

it("an answer that nobody reads is given up, charged as one that was begun, and lets the upstream go", async () => {
  const caller = await lab.createAccount();
  let isLetGo = false;
  const block = Buffer.alloc(MIB);
  const name = lab.upstream.script((_, response) => {
    response.on("close", () => {
      isLetGo = true;
    });
    const write = (): void => {
      while (response.write(block));
    };
    response.on("drain", write);
    write();
  });
  const client = send(caller, "GET", `/v1/lab/get/${name}`);
  client.socket.pause();
  await expect.poll(() => isLetGo, WAIT).toBe(true);
  client.socket.resume();
  await client.closed;
  await expect.poll(() => lab.callsOf(caller), WAIT).toMatchObject([{ status: 200, chargedMicros: PRICE }]);
});
