import type { ServiceContext } from "@tollgate/services";
import { deleteSecret, setSecret } from "@tollgate/services/admin";
import { afterAll, beforeAll, expect, it } from "vitest";
import { call, problemCode } from "../testing/client.ts";
import type { LabAccount } from "../testing/lab.ts";
import { Lab } from "../testing/lab.ts";

/** Credentials from the vault to the upstream. */
let lab: Lab;
let url: string;
let account: LabAccount;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("theirs", [{ name: "get" }]);
  await lab.publish("other", [{ name: "get" }]);
  await lab.publish("sealed", [{ name: "get" }]);
  ({ url } = await lab.startGateway());
  account = await lab.createAccount();
  script = lab.upstream.script((_, response) => response.end("served"));
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

type Place = { readonly placement: "header" | "query"; readonly name: string };

async function set(api: string, place: Place, value: string, settings: Partial<ServiceContext["settings"]> = {}) {
  await setSecret({ ctx: lab.operatorContext(settings), input: { api, ...place, value } });
  lab.announce("admin.secretSet", { apiId: "", api, ...place });
}

/** What the upstream is asked when a caller comes with headers and a query of its own. */
async function asked(api: string, query = "", headers: Readonly<Record<string, string>> = {}) {
  await call(`${url}/v1/${api}/get/${script}${query}`, { key: account.key, headers });
  const request = lab.upstream.requestsOf(script).at(-1);
  return { url: request?.url, headers: request?.headers };
}

it("are in the upstream's request within a second, in place of the caller's own, and only in that API's", async () => {
  await call(`${url}/v1/theirs/get/${script}`, { key: account.key });
  await set("theirs", { placement: "header", name: "x-api-key" }, "hidden in a header");
  await set("theirs", { placement: "query", name: "appid" }, "hidden & encoded");
  const target = `/run/${script}?q=1&appid=hidden%20%26%20encoded`;
  await expect
    .poll(() => asked("theirs", "?q=1&appid=mine", { "X-API-KEY": "mine" }), { timeout: 1_000, interval: 20 })
    .toMatchObject({ url: target, headers: { "x-api-key": "hidden in a header" } });
  expect((await asked("other")).headers).not.toHaveProperty("x-api-key");

  await set("theirs", { placement: "header", name: "x-api-key" }, "replaced");
  await expect
    .poll(() => asked("theirs"), { timeout: 1_000, interval: 20 })
    .toMatchObject({ headers: { "x-api-key": "replaced" } });

  const place = { placement: "header", name: "x-api-key" } as const;
  await deleteSecret({ ctx: lab.operatorContext(), input: { api: "theirs", ...place } });
  lab.announce("admin.secretDeleted", { apiId: "", api: "theirs", ...place });
  await expect
    .poll(async () => (await asked("theirs")).headers, { timeout: 1_000, interval: 20 })
    .not.toHaveProperty("x-api-key");
});

it("in Authorization leave the gateway's token beside them, which no caller can forge", async () => {
  await set("other", { placement: "header", name: "authorization" }, "Basic b3Vycw==");
  await expect
    .poll(() => asked("other", "", { "Tollgate-Authorization": "Bearer forged" }), { timeout: 1_000, interval: 20 })
    .toMatchObject({
      headers: {
        authorization: "Basic b3Vycw==",
        "tollgate-authorization": expect.stringMatching(/^Bearer ey/),
      },
    });
});

it("that cannot be opened stop the API's calls, uncharged, and those of no other API", async () => {
  const caller = await lab.createAccount();
  const masterKeys = [{ id: "unknown-here", secret: "u".repeat(32) }];
  await set("sealed", { placement: "header", name: "x-api-key" }, "unreadable", { masterKeys });
  const before = lab.upstream.requestsOf(script).length;
  await expect
    .poll(async () => (await call(`${url}/v1/sealed/get/none`, { key: caller.key })).status, {
      timeout: 1_000,
      interval: 20,
    })
    .toBe(503);
  const answer = await call(`${url}/v1/sealed/get/${script}`, { key: caller.key });
  expect([answer.status, problemCode(answer)]).toEqual([503, "credentials_unavailable"]);
  expect(answer.body.toString()).not.toContain("unreadable");
  expect(lab.upstream.requestsOf(script)).toHaveLength(before);
  await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 0 });
  expect((await call(`${url}/v1/theirs/get/${script}`, { key: caller.key })).status).toBe(200);
});
