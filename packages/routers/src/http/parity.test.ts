import { once } from "node:events";
import type { Server } from "node:http";
import { createServer, request as sendRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { TollgateError } from "@tollgate/kernel";
import { createTRPCClient, httpBatchLink, httpLink, TRPCClientError } from "@trpc/client";
import { initTRPC } from "@trpc/server";
import { fastifyTRPCPlugin } from "@trpc/server/adapters/fastify";
import { createHTTPHandler } from "@trpc/server/adapters/standalone";
import fastify from "fastify";
import superjson from "superjson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { formatError } from "../errors.ts";
import { wireTransformer } from "../wire.ts";
import { createTrpcHandler } from "./createTrpcHandler.ts";

/**
 * The claim of this directory: whoever speaks tRPC 11 cannot tell our binding from the stock ones. So the same router is
 * served by ours, by tRPC's standalone adapter and by its Fastify adapter, and asked the same things.
 */
const BODY_BYTES_MAX = 4_096;

const t = initTRPC.context<{ requestId: string }>().create({
  transformer: wireTransformer,
  errorFormatter: formatError,
  isDev: false,
});
const things = t.router({
  read: t.procedure
    .input(z.object({ id: z.string().min(2), at: z.date().optional(), micros: z.bigint().optional() }))
    .output(z.object({ id: z.string(), at: z.date().nullable(), micros: z.bigint(), gap: z.undefined() }))
    .query(({ input }) => ({ id: input.id, at: input.at ?? null, micros: input.micros ?? 0n, gap: undefined })),
  list: t.procedure.query(() => ({ items: [{ at: new Date(0) }, { at: new Date(1) }], total: 2n })),
  nothing: t.procedure.query(() => undefined),
  odd: t.procedure.query(() => ({ set: new Set([1]), map: new Map([["a", 1n]]), nan: Number.NaN, "a.b": new Date(0) })),
  update: t.procedure.input(z.object({ name: z.string() })).mutation(({ input }) => ({ name: input.name, done: true })),
  missing: t.procedure.query(() => {
    throw new TollgateError("NOT_FOUND", "No such thing", { reason: "thing_not_found" });
  }),
  poor: t.procedure.mutation(() => {
    throw new TollgateError("PAYMENT_REQUIRED", "Not enough credit", { reason: "insufficient_credit" });
  }),
  gone: t.procedure.query(() => {
    throw new TollgateError("GONE", "It was here once");
  }),
  broken: t.procedure.query(() => {
    throw new Error("a secret detail");
  }),
  poisoned: t.procedure.query(() => JSON.parse('{"__proto__":1}') as unknown),
  streaming: t.procedure.query(() => ({ later: Promise.resolve(1) })),
  ticks: t.procedure.subscription(async function* () {
    yield 1;
    yield 2;
  }),
});
const router = t.router({ things, ping: t.procedure.query(() => "pong") });

const createContext = () => ({ requestId: "req_parity" });

interface Side {
  readonly name: string;
  readonly url: string;
}
const servers: Server[] = [];
const sides: Record<"ours" | "standalone" | "fastify", Side> = {
  ours: { name: "ours", url: "" },
  standalone: { name: "standalone", url: "" },
  fastify: { name: "fastify", url: "" },
};

async function serve(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/trpc`;
}

const stockFastify = fastify({ routerOptions: { maxParamLength: 5_000 } });

beforeAll(async () => {
  sides.ours = {
    name: "ours",
    url: await serve(
      createServer(createTrpcHandler({ router, prefix: "/trpc/", createContext, bodyBytesMax: BODY_BYTES_MAX })),
    ),
  };
  sides.standalone = {
    name: "standalone",
    url: await serve(
      createServer(
        createHTTPHandler({
          router,
          basePath: "/trpc/",
          createContext,
          maxBodySize: BODY_BYTES_MAX,
          maxBatchSize: 100,
        }),
      ),
    ),
  };
  stockFastify.register(fastifyTRPCPlugin, { prefix: "/trpc", trpcOptions: { router, createContext } });
  sides.fastify = { name: "fastify", url: `${await stockFastify.listen({ host: "127.0.0.1", port: 0 })}/trpc` };
});

afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await stockFastify.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** A request as raw as it can be: `fetch` would refuse some of the cases. */
function send(
  url: string,
  options: { method: string; headers: Record<string, string>; body?: string },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = sendRequest(url, { method: options.method, headers: options.headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const body = Buffer.concat(chunks).toString("utf8");
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(options.body);
  });
}

const encode = (value: unknown): string => encodeURIComponent(JSON.stringify(value));
const payload = (value: unknown): string => JSON.stringify(superjson.serialize(value));
const JSON_TYPE = { "content-type": "application/json" };

interface Case {
  readonly title: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Fastify parses bodies and methods before tRPC sees them, so there its stock adapter differs from tRPC's others. */
  readonly isNotForFastify?: boolean;
}

const CASES: readonly Case[] = [
  { title: "a query without input", path: "ping" },
  { title: "a query with dates, bigints and undefined", path: "things.list" },
  {
    title: "a query with an input",
    path: `things.read?input=${encode(superjson.serialize({ id: "ab", at: new Date(7), micros: 5n }))}`,
  },
  { title: "an input whose spaces are pluses", path: "things.read?input=%7B%22json%22:%7B%22id%22:%22a+b%22%7D%7D" },
  { title: "a query that answers undefined", path: "things.nothing" },
  { title: "sets, maps and odd numbers", path: "things.odd" },
  { title: "an input that is too short", path: `things.read?input=${encode({ json: { id: "a" } })}` },
  { title: "an input of the wrong type", path: `things.read?input=${encode({ json: { id: 5 } })}` },
  { title: "no input where one is needed", path: "things.read" },
  { title: "an empty input parameter", path: "things.read?input=" },
  { title: "an input that is not JSON", path: "things.read?input=%7B" },
  { title: "broken escapes in the input", path: "things.read?input=%7B%ZZ" },
  { title: "an input that is not superjson", path: "things.read?input=null" },
  { title: "an input that nobody reads and that is not JSON", path: "ping?input=%7B" },
  { title: "a failure of the product's own", path: "things.missing" },
  { title: "a failure with a status tRPC has no code for", path: "things.gone" },
  { title: "a fault, of which nothing is told", path: "things.broken" },
  { title: "an answer that cannot be serialized", path: "things.poisoned" },
  { title: "an answer that would stream", path: "things.streaming" },
  { title: "a path that is not there", path: "things.none" },
  { title: "a path that every object has", path: "constructor" },
  { title: "no path at all", path: "", isNotForFastify: true },
  { title: "a domain instead of a procedure", path: "things" },
  { title: "an escaped path", path: "things%2Eread" },
  { title: "a broken escape in the path", path: "things.%ZZ", isNotForFastify: true },
  { title: "a trailing slash", path: "ping/", isNotForFastify: true },
  { title: "a mutation", method: "POST", path: "things.update", headers: JSON_TYPE, body: payload({ name: "x" }) },
  {
    title: "a charset and capitals in the content type",
    method: "POST",
    path: "things.update",
    headers: { "content-type": "Application/JSON; charset=UTF-8" },
    body: payload({ name: "ü" }),
  },
  { title: "a mutation that fails", method: "POST", path: "things.poor", headers: JSON_TYPE, body: payload(undefined) },
  {
    title: "a mutation with an empty body",
    method: "POST",
    path: "things.update",
    headers: JSON_TYPE,
    body: "",
    isNotForFastify: true,
  },
  { title: "a mutation with malformed JSON", method: "POST", path: "things.update", headers: JSON_TYPE, body: "{" },
  {
    title: "a mutation with a number for a body",
    method: "POST",
    path: "things.update",
    headers: JSON_TYPE,
    body: "5",
  },
  {
    title: "a body above the limit",
    method: "POST",
    path: "things.update",
    headers: JSON_TYPE,
    body: payload({ name: "x".repeat(BODY_BYTES_MAX) }),
    isNotForFastify: true,
  },
  {
    title: "no content type",
    method: "POST",
    path: "things.update",
    body: payload({ name: "x" }),
    isNotForFastify: true,
  },
  {
    title: "another content type",
    method: "POST",
    path: "things.update",
    headers: { "content-type": "text/plain" },
    body: "name",
    isNotForFastify: true,
  },
  { title: "a mutation by GET", path: "things.update" },
  { title: "a query by POST", method: "POST", path: "things.list", headers: JSON_TYPE, body: payload({}) },
  { title: "a query by PUT", method: "PUT", path: "things.list", headers: JSON_TYPE, body: payload({}) },
  { title: "a query by DELETE without a body", method: "DELETE", path: "things.list", isNotForFastify: true },
  { title: "HEAD", method: "HEAD", path: "ping" },
  { title: "a batch of one", path: `ping?batch=1&input=${encode({})}` },
  {
    title: "a batch of queries",
    path: `ping,things.list,things.read?batch=1&input=${encode({ 2: superjson.serialize({ id: "ab" }) })}`,
  },
  { title: "a batch without inputs", path: "ping,things.list?batch=1" },
  { title: "a batch in which some fail", path: "ping,things.missing,things.none,things.broken?batch=1" },
  { title: "a batch in which all fail alike", path: "things.missing,things.missing?batch=1" },
  { title: "a batch whose input is a list", path: `things.read,ping?batch=1&input=${encode([1])}` },
  { title: "a batch whose input is not JSON", path: "things.read,ping?batch=1&input=%7B" },
  {
    title: "a batch in which one input is not superjson",
    path: `things.read,things.read?batch=1&input=${encode({ 0: 5, 1: superjson.serialize({ id: "ab" }) })}`,
  },
  { title: "a batch with an answer that would stream", path: "ping,things.streaming?batch=1" },
  { title: "a batch with an answer that cannot be serialized", path: "ping,things.poisoned?batch=1" },
  { title: "a batch of queries and mutations", path: "ping,things.update?batch=1" },
  {
    title: "a batch of mutations",
    method: "POST",
    path: "things.update,things.update?batch=1",
    headers: JSON_TYPE,
    body: JSON.stringify({ 0: superjson.serialize({ name: "a" }), 1: superjson.serialize({ name: 7 }) }),
  },
  { title: "a batch of mutations by GET", path: "things.update,things.update?batch=1" },
  {
    title: "a batch of more calls than are taken",
    path: `${Array.from({ length: 101 }, () => "ping").join(",")}?batch=1`,
    isNotForFastify: true,
  },
  { title: "a list of paths without batch=1", path: "ping,things.list" },
  { title: "a batch with a subscription", path: "ping,things.ticks?batch=1" },
  { title: "a subscription", path: "things.ticks", headers: { accept: "text/event-stream" } },
  { title: "a subscription by POST", method: "POST", path: "things.ticks", headers: JSON_TYPE, body: payload({}) },
  { title: "a streamed batch", path: "ping,things.list?batch=1", headers: { "trpc-accept": "application/jsonl" } },
  { title: "a streamed call that is not a batch", path: "ping", headers: { accept: "application/jsonl" } },
  { title: "connection parameters", path: `ping?connectionParams=${encode({ a: "b" })}` },
  { title: "connection parameters that are none", path: "ping?connectionParams=5" },
  {
    title: "form data to a procedure that takes JSON",
    method: "POST",
    path: "things.update",
    headers: { "content-type": "multipart/form-data; boundary=x" },
    body: "--x--\r\n",
    isNotForFastify: true,
  },
];

/** Headers that mean something to a client; length against chunks, dates and connections do not. */
const comparable = ({ status, headers, body }: Answer): object => ({
  status,
  body: body.replaceAll(/\s+$/g, ""),
  contentType: headers["content-type"] ?? null,
  vary: headers["vary"] ?? null,
  allow: headers["allow"] ?? null,
});

/**
 * Two things the stock adapters leave out, and only where a request fails as a whole: that the answer is JSON, and which
 * request it was. Ours says both, except in what it hands to the stock adapter.
 */
function improve(answer: Answer): Answer {
  if (answer.headers["content-type"] !== "text/plain;charset=UTF-8" || !answer.body.startsWith('{"error"'))
    return answer;
  return {
    ...answer,
    headers: { ...answer.headers, "content-type": "application/json" },
    body: answer.body.replace('"requestId":null', '"requestId":"req_parity"'),
  };
}

async function ask(side: Side, { method = "GET", path, headers = {}, body }: Case): Promise<object> {
  const answer = await send(`${side.url}/${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  return comparable(improve(answer));
}

describe("our HTTP binding against tRPC's own", () => {
  it.each(CASES.map((it): [string, Case] => [it.title, it]))(
    "answers %s as the standalone adapter does",
    async (_, it) => {
      expect(await ask(sides.ours, it)).toEqual(await ask(sides.standalone, it));
    },
  );

  it.each(CASES.filter((it) => it.isNotForFastify !== true).map((it): [string, Case] => [it.title, it]))(
    "answers %s as the Fastify adapter does",
    async (_, it) => {
      expect(await ask(sides.ours, it)).toEqual(await ask(sides.fastify, it));
    },
  );

  it("answers 405 with the method that is accepted", async () => {
    const answer = await send(`${sides.ours.url}/things.update`, { method: "GET", headers: {} });
    expect(answer).toMatchObject({ status: 405, headers: { allow: "POST" } });
  });

  it.each(["things.%ZZ", "ping,things.update?batch=1"])(
    "names the request and the type when all of it fails: %s",
    async (path) => {
      const answer = await send(`${sides.ours.url}/${path}`, { method: "GET", headers: {} });
      expect(answer.headers["content-type"]).toBe("application/json");
      expect(answer.body).toContain("req_parity");
    },
  );

  it("tells nothing of a fault but the request's id", async () => {
    const { body } = await send(`${sides.ours.url}/things.broken`, { method: "GET", headers: {} });
    expect(body).not.toContain("secret");
    expect(body).toContain("req_parity");
  });
});

describe.each([
  ["one call a request", httpLink],
  ["batched calls", httpBatchLink],
] as const)("the real client, %s", (_, link) => {
  const clients = () =>
    [sides.ours, sides.standalone, sides.fastify].map((side) =>
      createTRPCClient<typeof router>({ links: [link({ url: side.url, transformer: superjson })] }),
    );

  it("gets the same values from every binding", async () => {
    const answers = await Promise.all(
      clients().map((client) =>
        Promise.all([
          client.ping.query(),
          client.things.list.query(),
          client.things.nothing.query(),
          client.things.odd.query(),
          client.things.read.query({ id: "ab", at: new Date(9), micros: 2n ** 60n }),
        ]),
      ),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toEqual(answers[2]);
    expect(answers[0]?.[4]).toEqual({ id: "ab", at: new Date(9), micros: 2n ** 60n, gap: undefined });
  });

  it("changes things the same through every binding", async () => {
    const answers = await Promise.all(
      clients().map((client) =>
        Promise.all([client.things.update.mutate({ name: "ü" }), client.things.update.mutate({ name: "b" })]),
      ),
    );
    expect(answers[0]).toEqual([
      { name: "ü", done: true },
      { name: "b", done: true },
    ]);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });

  it("gets the same failures from every binding", async () => {
    const failures = await Promise.all(
      clients().map((client) =>
        Promise.allSettled([client.things.missing.query(), client.things.read.query({ id: "a" }), client.ping.query()]),
      ),
    );
    const told = failures.map((settled) =>
      settled.map((outcome) =>
        outcome.status === "fulfilled"
          ? outcome.value
          : outcome.reason instanceof TRPCClientError && {
              message: outcome.reason.message,
              shape: outcome.reason.shape,
            },
      ),
    );
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
    expect(told[0]?.[0]).toMatchObject({
      message: "No such thing",
      shape: { data: { code: "NOT_FOUND", httpStatus: 404, reason: "thing_not_found", requestId: "req_parity" } },
    });
    expect(told[0]?.[1]).toMatchObject({ shape: { data: { code: "BAD_REQUEST", issues: [{ path: "id" }] } } });
  });
});
