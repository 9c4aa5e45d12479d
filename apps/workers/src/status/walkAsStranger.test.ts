import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { WALK_STEPS, walkAsStranger } from "./walkAsStranger.ts";

/** The product in a few lines: what each path answers, and what goes wrong with one of them. */
const CODE = "BCDF2345";
const KEY = "tg_live_averysecretkeythatmustnotshow";
const TOKEN = "an.access.token";
const server = createServer((request, response) => {
  void answer(request).then(([status, body, headers]) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  });
});
let url: string;
let isRevoked: boolean;
let balance: bigint;
let broken: Record<string, readonly [number, object]>;

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  isRevoked = false;
  balance = 100n;
  broken = {};
});
afterAll(() => server.close());

type Answer = readonly [status: number, body: object, headers?: Record<string, string>];

async function answer(request: IncomingMessage): Promise<Answer> {
  for await (const _ of request);
  const path = request.url ?? "";
  const wrong = broken[path];
  if (wrong !== undefined) return wrong;
  switch (path) {
    case "/rest/onboarding/completeSignup":
      return [200, { accessToken: TOKEN }];
    case "/rest/customers/me":
      return [200, { projects: [{ id: "prj_1", billingAccountId: "ba_1" }] }];
    case "/rest/balance/current":
      return [200, { balance: balance.toString() }];
    case "/rest/keys/generate":
      return [200, { id: "key_1", key: KEY }];
    case "/rest/keys/revoke":
      isRevoked = true;
      return [200, {}];
    case "/v1/test/ping":
      if (isRevoked) return [401, { code: "unauthorized" }];
      balance -= 1n;
      return [200, {}, { "tollgate-price": "1", "tollgate-call-id": "call_1" }];
    case "/rest/usage/calls":
      return [200, { items: [{ id: "call_1", chargedMicros: "1" }] }];
    default:
      return [200, {}];
  }
}

const walk = () =>
  walkAsStranger({
    apiUrl: url,
    gatewayUrl: url,
    call: "test/ping",
    priceMicros: 1n,
    email: "stranger@self-test.invalid",
    readCode: async () => CODE,
    signal: new AbortController().signal,
  });

test("a walk takes every step, and ends when all of them went well", async () => {
  const { steps, failure } = await walk();
  expect(failure).toBeNull();
  expect(steps.map(({ name }) => name)).toEqual(WALK_STEPS);
});

test.each([
  ["/rest/onboarding/sendVerificationEmail", "askForCode"],
  ["/rest/onboarding/completeSignup", "signUp"],
  ["/rest/keys/generate", "generateKey"],
  ["/v1/test/ping", "call"],
  ["/rest/usage/calls", "usage"],
  ["/rest/keys/revoke", "revokeKey"],
  ["/rest/customers/delete", "leave"],
])("an outage of %s is seen at the step %s", async (path, step) => {
  broken = { [path]: [503, { code: "unavailable", requestId: "req_1" }] };
  expect((await walk()).failure).toMatchObject({ step, error: expect.stringContaining("503") });
});

test("a call that is charged wrongly is a failure", async () => {
  broken = { "/rest/usage/calls": [200, { items: [{ id: "call_1", chargedMicros: "2" }] }] };
  expect((await walk()).failure).toEqual({ step: "usage", error: "The call was charged 2, not 1" });
});

test("what a failure says has none of the secrets of the walk, whatever the answer repeats", async () => {
  broken = { "/v1/test/ping": [500, { detail: KEY, code: "internal" }] };
  const atGateway = await walk();
  broken = { "/rest/keys/revoke": [500, { detail: `${KEY} ${TOKEN} ${CODE}`, code: "internal", requestId: "req_1" }] };
  const said = JSON.stringify([atGateway, await walk()]);
  for (const secret of [KEY, TOKEN, CODE]) expect(said).not.toContain(secret);
  expect(said).toContain("keys/revoke answered 500 internal (req_1)");
});
