import { once } from "node:events";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { TollgateError } from "@tollgate/kernel";
import { initTRPC } from "@trpc/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { formatError } from "../errors.ts";
import { wireTransformer } from "../wire.ts";
import { createRestHandler } from "./createRestHandler.ts";

const BODY_BYTES_MAX = 4_096;
const t = initTRPC
  .context<{ requestId: string }>()
  .create({ transformer: wireTransformer, errorFormatter: formatError });
const router = t.router({
  things: t.router({
    read: t.procedure
      .input(z.object({ id: z.string().min(2), at: z.coerce.date().optional() }))
      .query(({ input }) => ({ id: input.id, at: input.at ?? null, micros: 2n ** 62n, amounts: [1n] })),
    list: t.procedure.input(z.object({ limit: z.int().default(50) })).query(({ input }) => ({ limit: input.limit })),
    nothing: t.procedure.mutation(() => undefined),
    throttled: t.procedure.query(() => {
      throw new TollgateError("TOO_MANY_REQUESTS", "Slow down", {
        reason: "too_many_attempts",
        retryAfterSeconds: 1.2,
      });
    }),
    private: t.procedure.query(() => {
      throw new TollgateError("UNAUTHORIZED", "Sign in first");
    }),
    broken: t.procedure.query(() => {
      throw new Error("a secret detail");
    }),
    ticks: t.procedure.subscription(async function* () {
      yield 1;
    }),
  }),
});

let server: Server;
let url: string;
const failures: unknown[] = [];

beforeAll(async () => {
  server = createServer(
    createRestHandler({
      router,
      prefix: "/rest/",
      bodyBytesMax: BODY_BYTES_MAX,
      createContext: () => ({ requestId: "req_rest" }),
      onError: ({ error }) => failures.push(error.cause ?? error),
    }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rest`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function post(
  path: string,
  body?: string,
  init: RequestInit = {},
): Promise<{ status: number; type: string | null; headers: Headers; body: unknown }> {
  const response = await fetch(`${url}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body }),
    ...init,
  });
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    headers: response.headers,
    body: await response.json(),
  };
}

const ENDLESS = `{"id":${"[".repeat(1_500)}${"]".repeat(1_500)}}`;

describe("REST", () => {
  it("answers queries and mutations alike, with amounts as strings and instants as ISO text", async () => {
    const at = "2026-11-22T10:00:00.000Z";
    expect(await post("things/read", JSON.stringify({ id: "ab", at }))).toMatchObject({
      status: 200,
      type: "application/json",
      body: { id: "ab", at, micros: "4611686018427387904", amounts: ["1"] },
    });
    expect(await post("things/nothing")).toMatchObject({ status: 200, body: null });
  });

  it("takes an empty body for an input without required fields", async () => {
    expect(await post("things/list")).toMatchObject({ status: 200, body: { limit: 50 } });
    expect(await post("things/list", undefined, { headers: {} })).toMatchObject({ status: 200, body: { limit: 50 } });
  });

  it.each([
    ["a field that is missing", "things/read", "{}", 400, { code: "invalid_input", issues: [{ path: "id" }] }],
    ["a field of the wrong type", "things/list", '{"limit":"5"}', 400, { issues: [{ path: "limit" }] }],
    ["a NUL in a text", "things/read", '{"id":"a\\u0000b"}', 400, { issues: [{ path: "id" }] }],
    ["half of a surrogate pair", "things/read", '{"id":"a\\ud800b"}', 400, { issues: [{ path: "id" }] }],
    ["a prototype", "things/read", '{"id":{"__proto__":1}}', 400, { issues: [{ path: "id.__proto__" }] }],
    ["a field that is nested without end", "things/read", ENDLESS, 400, { issues: [{ path: "id" }] }],
    ["an input that is not an object", "things/read", "5", 400, { code: "invalid_input" }],
    ["malformed JSON", "things/read", "{", 400, { detail: "The input is not valid JSON" }],
    [
      "a body above the limit",
      "things/read",
      JSON.stringify({ id: "x".repeat(BODY_BYTES_MAX) }),
      413,
      { code: "payload_too_large" },
    ],
    ["an unknown procedure", "things/none", "{}", 404, { code: "procedure_not_found", instance: "/rest/things/none" }],
    ["a path that every object has", "constructor", "{}", 404, { code: "procedure_not_found" }],
    [
      "a failure of the product's own",
      "things/throttled",
      "{}",
      429,
      { code: "too_many_attempts", detail: "Slow down" },
    ],
  ])("answers %s with a problem document", async (_, path, body, status, problem) => {
    const answer = await post(path, body);
    expect(answer).toMatchObject({ status, type: "application/problem+json" });
    expect(answer.body).toMatchObject({ status, requestId: "req_rest", ...problem });
  });

  it("streams a subscription as server-sent events", async () => {
    const answer = await fetch(`${url}/things/ticks`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(await answer.text()).toBe("data: 1\n\n");
  });

  it("takes whole surrogate pairs, however they are written", async () => {
    const body = { id: "a😀" };
    expect(await post("things/read", '{"id":"a\\ud83d\\ude00"}')).toMatchObject({ status: 200, body });
    expect(await post("things/read", '{"id":"a😀"}')).toMatchObject({ status: 200, body });
  });

  it("takes a text that speaks of NUL without containing it", async () => {
    expect(await post("things/read", '{"id":"a\\\\u0000"}')).toMatchObject({ status: 200, body: { id: "a\\u0000" } });
  });

  it("takes POST and JSON only, and says so", async () => {
    const byGet = await fetch(`${url}/things/list`);
    expect({ status: byGet.status, allow: byGet.headers.get("allow") }).toEqual({ status: 405, allow: "POST" });
    const asText = await post("things/read", "{}", { headers: { "content-type": "text/plain" } });
    expect(asText).toMatchObject({ status: 415, body: { status: 415, title: "Unsupported media type" } });
  });

  it("says when to come back and how to authenticate", async () => {
    expect((await post("things/throttled", "{}")).headers.get("retry-after")).toBe("2");
    expect((await post("things/private", "{}")).headers.get("www-authenticate")).toContain("Bearer");
  });

  it("tells nothing of a fault but the request's id, and tells the operator everything", async () => {
    failures.length = 0;
    const answer = await post("things/broken", "{}");
    expect(answer).toMatchObject({ status: 500, body: { code: "internal" } });
    expect(JSON.stringify(answer.body)).not.toContain("secret");
    expect(failures).toEqual([expect.objectContaining({ message: "a secret detail" })]);
  });
});
