import { TollgateError } from "@tollgate/kernel";
import type { ApiDouble } from "@tollgate/testing/api-double";
import { startApiDouble } from "@tollgate/testing/api-double";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTollgateClient } from "../createTollgateClient.ts";
import type { ApiDefinition } from "./publishApi.ts";
import { publishApi } from "./publishApi.ts";

/** What the client asks of the control plane, against the real paths, schemas and errors, with the verbs replaced. */
let api: ApiDouble;
beforeAll(async () => {
  api = await startApiDouble();
});
afterEach(() => api.verify());
afterAll(() => api.close());

const definition: ApiDefinition = {
  name: "weather",
  displayName: "Weather",
  description: "The weather of tomorrow",
  category: "data",
  openapi: { openapi: "3.1.0" },
  endpoints: [{ name: "forecast", method: "GET", path: "/forecast", priceMicros: "1000", freePerMonth: 10 }],
};
const AT = new Date("2026-01-15T12:00:00Z");
const published = {
  ...definition,
  id: "api_weather00000000000000",
  endpoints: [],
  status: "published",
  icon: null,
  popularity: 0,
  sunsetAt: null,
  deprecatedAt: null,
  examples: [],
  upstreamUrls: [],
  deleteDataUrl: null,
  createdAt: AT,
  updatedAt: AT,
} as const;
const answer = () => ({
  ...published,
  openapi: { ...definition.openapi },
  endpoints: [],
  examples: [],
  upstreamUrls: [],
});

describe("an upstream that publishes itself", () => {
  test("asks catalog.publish once, as the service, with what the catalogue takes", async () => {
    api.expects("catalog.publish", answer, 1);
    expect(await publishApi({ apiUrl: api.url, serviceToken: "a service", definition })).toBe(true);
    expect(api.callsOf("catalog.publish")).toEqual([{ sent: definition, token: "a service" }]);
  });

  test("is told by field what the catalogue does not take, and asks no second time", async () => {
    const [endpoint] = definition.endpoints;
    if (endpoint === undefined) throw new Error("The definition has no endpoint");
    const wrong = { ...definition, endpoints: [{ ...endpoint, priceMicros: "-1" }] };
    await expect(publishApi({ apiUrl: api.url, serviceToken: "a service", definition: wrong })).rejects.toMatchObject({
      name: "PublishRefusedError",
      status: 400,
      issues: [{ path: "endpoints.0.priceMicros", message: "Must not be negative" }],
    });
    expect(api.callsOf("catalog.publish")).toEqual([]);
  });

  test("asks again while the control plane cannot answer", async () => {
    let refusals = 2;
    api.expects(
      "catalog.publish",
      () => {
        if (refusals-- > 0) throw new TollgateError("UNAVAILABLE", "The database is away");
        return answer();
      },
      3,
    );
    expect(await publishApi({ apiUrl: api.url, serviceToken: "a service", definition })).toBe(true);
  });
});

describe("the typed client", () => {
  test("sends what the schema takes and reads amounts and times as what they are", async () => {
    const input = { projectId: "prj_0123456789abcdefABCDEF", expiresAt: AT, monthlySpendCapMicros: 5n };
    api.expects("keys.generate", () => ({ id: "key_1", key: "tg_live_1" }), 1);
    const client = createTollgateClient({ url: api.url, token: "a person" });
    expect(await client.keys.generate.mutate(input)).toEqual({ id: "key_1", key: "tg_live_1" });
    expect(api.callsOf("keys.generate")).toEqual([{ sent: input, token: "a person" }]);
  });

  test("gets the errors of the real thing", async () => {
    api.expects("customers.me", () => {
      throw new TollgateError("UNAUTHORIZED", "Sign in first", { reason: "session_ended" });
    });
    const client = createTollgateClient({ url: api.url });
    await expect(client.customers.me.query()).rejects.toMatchObject({
      data: { code: "UNAUTHORIZED", reason: "session_ended", path: "customers.me" },
    });
  });
});
