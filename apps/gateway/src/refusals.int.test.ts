import { setSecret } from "@tollgate/services/admin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, problemCode } from "./testing/client.ts";
import { Lab } from "./testing/lab.ts";

/** Refusals that are decided last, when a call is about to be forwarded. */
let lab: Lab;
let url: string;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [{ name: "get" }]);
  await lab.publish("sealed", [{ name: "get" }]);
  await lab.publish("dead", [{ name: "get" }], []);
  const masterKeys = [{ id: "unknown-here", secret: "u".repeat(32) }];
  const input = { api: "sealed", placement: "header", name: "x-api-key", value: "unreadable" } as const;
  await setSecret({ ctx: lab.operatorContext({ masterKeys }), input });
  ({ url } = await lab.startGateway());
  script = lab.upstream.script((_, response) => response.end("served"));
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

describe("a call that is refused when it was about to be forwarded", () => {
  it.each([
    ["for want of an instance", "dead", "no_upstream"],
    ["for want of the API's credentials", "sealed", "credentials_unavailable"],
    ["because its path says the key", "lab", "bad_path"],
  ])("%s uses nothing of its rate limits", async (_, api, code) => {
    const caller = await lab.createAccount({ rateLimitPerSecond: 2 });
    const path = code === "bad_path" ? caller.key : script;
    const codes: string[] = [];
    for (let index = 0; index < 6; index += 1) {
      codes.push(problemCode(await call(`${url}/v1/${api}/get/${path}`, { key: caller.key })));
    }
    expect(codes).toEqual(new Array(6).fill(code));
    const statuses = [];
    for (let index = 0; index < 2; index += 1) {
      statuses.push((await call(`${url}/v1/lab/get/${script}`, { key: caller.key })).status);
    }
    expect(statuses).toEqual([200, 200]);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 2_000 });
  });
});
