import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { definition } from "./openapi.ts";
import { createHelloServer } from "./server.ts";

async function start(): Promise<string> {
  const server = createHelloServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

const post = (url: string, body: string): Promise<Response> => fetch(`${url}/call`, { method: "POST", body });

test("whoever gives a name is greeted by it, and the call is counted", async () => {
  const url = await start();
  const response = await post(url, JSON.stringify({ name: "Ada" }));
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ message: "Hello Ada" });
  const served = await (await fetch(`${url}/served`)).json();
  expect(served).toEqual({ total: 1, byEndpoint: { call: 1 } });
});

test("a body that is not JSON, has no name, or is too large is refused, named and not counted", async () => {
  const url = await start();
  const cases = [
    { body: "not json", status: 400, detail: "The body must be JSON" },
    { body: "{}", status: 400, detail: "name: " },
    { body: '{"name":" "}', status: 400, detail: "name: " },
    { body: '{"name":7}', status: 400, detail: "name: " },
    { body: "null", status: 400, detail: "name: " },
    { body: JSON.stringify({ name: "x".repeat(201) }), status: 400, detail: "name: " },
    { body: "x".repeat(200_000), status: 413, detail: "The body " },
  ];
  for (const { body, status, detail } of cases) {
    const response = await post(url, body);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({ status, detail: expect.stringContaining(detail) });
  }
  expect(await (await fetch(`${url}/served`)).json()).toEqual({ total: 0, byEndpoint: { call: 0 } });
});

test("other paths and methods are refused, and health is told", async () => {
  const url = await start();
  expect((await fetch(`${url}/call`)).status).toBe(405);
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("every endpoint that is sold is in the OpenAPI document", () => {
  const paths = definition.openapi["paths"];
  for (const { path, method } of definition.endpoints) {
    expect(paths).toHaveProperty([path, method.toLowerCase()]);
  }
});
