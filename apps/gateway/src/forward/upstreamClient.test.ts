import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UpstreamClient } from "./upstreamClient.ts";
import { SWEEP_MS } from "./upstreamConnection.ts";

/** Every request to the upstream, with the number of its connection. */
interface Asked {
  readonly connection: number;
  readonly head: string;
  readonly socket: Socket;
}

const answerOf = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
let server: Server;
let client: UpstreamClient;
let asked: Asked[];
let answer: (asked: Asked) => void;

beforeEach(async () => {
  asked = [];
  answer = ({ socket }) => socket.write(answerOf("ok"));
  let connections = 0;
  server = createServer((socket) => {
    connections += 1;
    const connection = connections;
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      const request = { connection, head: data.toString("latin1"), socket };
      asked.push(request);
      answer(request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = open(8);
});

afterEach(() => {
  client.close(true);
  server.close();
});

const open = (connectionsMax: number): UpstreamClient =>
  new UpstreamClient(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), connectionsMax);

interface Request {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly headersTimeout?: number;
  /** @returns whether more may come */
  readonly onData?: (chunk: Buffer, resume: () => void) => boolean;
  readonly onConnect?: (abort: () => void) => void;
}

/** Sends a request; resolves with its body, rejects with what went wrong. */
function send({ method = "GET", path = "/", headers = [], headersTimeout = 5_000, ...on }: Request = {}) {
  return new Promise<string>((resolve, reject) => {
    let body = "";
    let resumeNow: () => void = () => undefined;
    client.dispatch(
      { method, path, headers, headersTimeout },
      {
        onConnect: (abort) => on.onConnect?.(abort),
        onHeaders: (_, __, resume) => {
          resumeNow = resume;
          return true;
        },
        onData: (chunk) => {
          body += chunk.toString("latin1");
          return on.onData?.(chunk, resumeNow) ?? true;
        },
        onComplete: () => resolve(body),
        onError: reject,
      },
    );
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const code = (code: string) => expect.objectContaining({ code });

describe("a request", () => {
  it("says what it was given, and where to", async () => {
    await send({ path: "/a?b=%20", headers: ["X-A", "b", "Content-Length", "0", "accept", "*/*"] });
    expect(asked[0]?.head).toBe(
      `GET /a?b=%20 HTTP/1.1\r\nhost: ${client.host}\r\nconnection: keep-alive\r\nX-A: b\r\naccept: */*\r\n\r\n`,
    );
    await send({ method: "POST" });
    expect(asked[1]?.head).toMatch(/^POST .*\r\ncontent-length: 0\r\n\r\n$/s);
  });

  it.each([
    [{ path: "/a b" }],
    [{ path: "/a\r\nX-Injected: b" }],
    [{ headers: ["X-A", "b\r\nX-Injected: c"] }],
    [{ headers: ["X-A", "b\0"] }],
  ])("that HTTP does not allow is not sent: %j", async (request) => {
    await expect(send(request)).rejects.toEqual(code("INVALID_REQUEST"));
    expect(asked).toEqual([]);
  });

  it("goes over a connection that is free; one of the same turn over another", async () => {
    await Promise.all([send(), send()]);
    await turn();
    await send();
    await turn();
    await send();
    expect(asked.slice(0, 2).map(({ connection }) => connection)).toEqual([1, 2]);
    expect(new Set(asked.map(({ connection }) => connection)).size).toBe(2);
  });

  it("waits in its turn when there are as many connections as there may be", async () => {
    client = open(1);
    const order: string[] = [];
    const paths = ["/1", "/2", "/3", "/4"];
    await Promise.all(paths.map((path) => send({ path }).then(() => order.push(path))));
    expect(order).toEqual(paths);
    expect(new Set(asked.map(({ connection }) => connection)).size).toBe(1);
  });

  it("that waits is sent when a connection fails", async () => {
    client = open(1);
    answer = (request) => (asked.length === 1 ? request.socket.destroy() : request.socket.write(answerOf("ok")));
    const [first, second] = await Promise.allSettled([send(), send()]);
    expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
  });

  it("that is given up ends its connection", async () => {
    let giveUp: () => void = () => undefined;
    answer = () => giveUp();
    const given = send({
      onConnect: (abort) => {
        giveUp = abort;
      },
    });
    await expect(given).rejects.toEqual(code("ABORTED"));
    await once(asked[0]?.socket as Socket, "close");
  });

  it("that is given up before it goes out leaves the connection to the next one", async () => {
    client = open(1);
    const first = send();
    const left = send({ path: "/left", onConnect: (abort) => abort() });
    const next = send();
    await expect(left).rejects.toEqual(code("ABORTED"));
    await Promise.all([first, next]);
    expect(asked.map(({ connection, head }) => [connection, head.includes("/left")])).toEqual([
      [1, false],
      [1, false],
    ]);
  });

  it("that finds no free connection waits no longer than for an answer", async () => {
    client = open(1);
    answer = () => undefined;
    const sweeping = setInterval(() => client.sweep(), SWEEP_MS);
    const first = send();
    await expect(send({ path: "/waiting", headersTimeout: 1 })).rejects.toEqual(code("HEADERS_TIMEOUT"));
    asked[0]?.socket.write(answerOf("in the end"));
    expect(await first).toBe("in the end");
    expect(asked).toHaveLength(1);
    clearInterval(sweeping);
  });

  it("fails when nobody listens", async () => {
    server.close();
    await once(server, "close");
    await expect(send()).rejects.toEqual(code("ECONNREFUSED"));
  });

  it("fails when its answer does not begin in time", async () => {
    answer = () => undefined;
    const sweeping = setInterval(() => client.sweep(), SWEEP_MS);
    await expect(send({ headersTimeout: 1 })).rejects.toEqual(code("HEADERS_TIMEOUT"));
    clearInterval(sweeping);
  });
});

describe("an answer", () => {
  it("that comes before anybody asked is nobody's", async () => {
    let isPoisoned = false;
    answer = ({ socket }) => {
      socket.write(answerOf("ok"));
      if (isPoisoned) return;
      isPoisoned = true;
      setImmediate(() => socket.write(answerOf("poison")));
    };
    const bodies: string[] = [];
    for (let index = 0; index < 50; index += 1) {
      bodies.push(await send().catch((error: { code: string }) => error.code));
      await turn();
    }
    expect(new Set(bodies)).toEqual(new Set(["ok"]));
    expect(new Set(asked.map(({ connection }) => connection)).size).toBe(2);
  });

  it("is read no faster than it is taken", async () => {
    const BYTES = 16 * 1024 * 1024;
    let isSent = false;
    answer = ({ socket }) => {
      socket.write(answerOf("a".repeat(BYTES)), () => {
        isSent = true;
      });
    };
    let taken = 0;
    let wasHeldBack = false;
    let goOn: (() => void) | undefined;
    const body = send({
      onData: (chunk, resume) => {
        taken += chunk.length;
        if (goOn !== undefined || wasHeldBack) return true;
        goOn = resume;
        return false;
      },
    });
    await expect.poll(() => goOn).toBeDefined();
    // All that the system takes on the way is there by now, and no more is read.
    for (let index = 0; index < 100; index += 1) await turn();
    expect(taken).toBeLessThan(1024 * 1024);
    expect(isSent).toBe(false);
    wasHeldBack = true;
    goOn?.();
    expect((await body).length).toBe(BYTES);
  });

  it("is kept as it was when the next one is read", async () => {
    answer = ({ head, socket }) => socket.write(answerOf((head.includes("/a") ? "a" : "b").repeat(10_000)));
    const kept: Buffer[] = [];
    const onData = (chunk: Buffer): boolean => kept.push(chunk) > 0;
    await send({ path: "/a", onData });
    const before = Buffer.concat(kept).toString();
    await send({ path: "/b", onData });
    expect(Buffer.concat(kept).toString()).toBe(`${before}${"b".repeat(10_000)}`);
  });

  it.each([
    ["to HEAD", "HEAD", answerOf("")],
    ["that says so", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"],
    ["whose connection is kept for no time", "GET", "HTTP/1.1 204 OK\r\nKeep-Alive: timeout=1\r\n\r\n"],
  ])("%s is the last one of its connection", async (_, method, text) => {
    answer = ({ socket }) => socket.write(text);
    await send({ method });
    await once(asked[0]?.socket as Socket, "close");
  });
});

describe("a client that is closed", () => {
  it("finishes what is under way and keeps no connection", async () => {
    await send();
    answer = () => undefined;
    const last = send();
    await expect.poll(() => asked.length).toBe(2);
    client.close(false);
    asked[1]?.socket.write(answerOf("the last"));
    expect(await last).toBe("the last");
    await once(asked[1]?.socket as Socket, "close");
  });

  it("gives up what is under way when it has to", async () => {
    answer = () => undefined;
    const given = [send(), send()];
    await expect.poll(() => asked.length).toBe(2);
    given.push(send());
    client.close(true);
    for (const one of await Promise.allSettled(given)) expect(one).toMatchObject({ status: "rejected" });
  });
});
