import type { AppRouter } from "@tollgate/routers";
import { createTRPCClient, httpBatchLink } from "@trpc/client";
import superjson from "superjson";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { TestApi } from "./testApi.ts";
import { startTestApi } from "./testApi.ts";

/** Documents of APIs are larger than anything else that is sent, and only who may publish sends them. */
// Five megabytes take a while on a machine that has other things to do.
vi.setConfig({ testTimeout: 180_000 });
let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const description = "Answers what was asked for, in the format that was asked for. ".repeat(60);
const operation = { description, responses: { "200": { description } } };
const largePublication = (name: string) => ({
  name,
  displayName: "Large",
  description: "Large.",
  category: "large",
  openapi: {
    openapi: "3.0.3",
    info: { title: "Large", version: "1" },
    paths: Object.fromEntries(Array.from({ length: 800 }, (_, index) => [`/things/${index}`, { get: operation }])),
  },
  endpoints: [{ name: "thing", method: "GET", path: "/things/799", priceMicros: "1" }],
});

function post(path: string, body: string, token?: string): Promise<Response> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(`${api.url}/rest/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body,
  });
}

test("a document of more than five megabytes is published over REST and over tRPC, and is read back as it was", async () => {
  const publication = largePublication("large-rest");
  const body = JSON.stringify(publication);
  expect(body.length).toBeGreaterThan(5_000_000);
  const published = await post("catalog/publish", body, api.serviceToken);
  expect(published.status).toBe(200);
  const read = await post("catalog/api", JSON.stringify({ name: "large-rest" }));
  expect(((await read.json()) as { openapi: unknown }).openapi).toEqual(publication.openapi);

  const headers = { authorization: `Bearer ${api.serviceToken}` };
  const client = createTRPCClient<AppRouter>({
    links: [httpBatchLink({ url: `${api.url}/trpc`, transformer: superjson, headers })],
  });
  const viaTrpc = await client.catalog.publish.mutate(largePublication("large-trpc") as never);
  expect(viaTrpc.openapi).toEqual(publication.openapi);
});

test("what is large is refused from everyone else, for everything else, and beyond what a document may have", async () => {
  const body = JSON.stringify(largePublication("large-refused"));
  for (const token of [undefined, "no-token-at-all"]) {
    expect((await post("catalog/publish", body, token)).status).toBe(413);
  }
  expect((await post("catalog/deprecate", body, api.serviceToken)).status).toBe(413);
  const tooLarge = JSON.stringify({ ...largePublication("large-refused"), padding: " ".repeat(24 * 1024 * 1024) });
  expect((await post("catalog/publish", tooLarge, api.serviceToken)).status).toBe(413);
  const fields = { ...largePublication("large-refused"), openapi: { openapi: "3.0.3", padding: body.repeat(4) } };
  const refused = await post("catalog/publish", JSON.stringify(fields), api.serviceToken);
  expect(await refused.json()).toMatchObject({ status: 400, issues: [{ path: "openapi" }] });
});

test("a document with the name of a prototype is refused by it, also when it is large", async () => {
  const body = JSON.stringify(largePublication("large-proto")).replace(
    '"info":',
    '"__proto__":{"polluted":true},"info":',
  );
  const refused = await post("catalog/publish", body, api.serviceToken);
  expect(await refused.json()).toMatchObject({ status: 400, issues: [{ path: "openapi.__proto__" }] });
  expect({}).not.toHaveProperty("polluted");
});
