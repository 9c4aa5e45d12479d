import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import type { ApiDefinition } from "./publishApi.ts";
import { PublishRefusedError, publishApi } from "./publishApi.ts";

const definition: ApiDefinition = {
  name: "demo",
  displayName: "Demo",
  description: "A demo",
  category: "tools",
  openapi: { openapi: "3.1.0" },
  endpoints: [{ name: "call", method: "GET", path: "/call", priceMicros: "1000", freePerMonth: 0 }],
};

/** Stands in for the control plane: gives the answers in order, the last one for ever. */
async function controlPlane(...answers: { status: number; body?: unknown }[]) {
  const requests: { url: string | undefined; authorization: string | undefined; body: unknown }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    void text(request).then((body) => {
      requests.push({
        url: `${request.method} ${request.url}`,
        authorization: request.headers.authorization,
        body: JSON.parse(body),
      });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      response.statusCode = answer?.status ?? 500;
      response.end(JSON.stringify(answer?.body ?? {}));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { apiUrl: `http://127.0.0.1:${address.port}`, requests };
}

test("the definition is posted once, as the service, when the control plane takes it", async () => {
  const { apiUrl, requests } = await controlPlane({ status: 200 });
  expect(await publishApi({ apiUrl, serviceToken: "secret", definition })).toBe(true);
  expect(requests).toEqual([{ url: "POST /rest/catalog/publish", authorization: "Bearer secret", body: definition }]);
});

test("a control plane that is not ready is asked again until it is", async () => {
  const { apiUrl, requests } = await controlPlane({ status: 503 }, { status: 500 }, { status: 429 }, { status: 201 });
  const attempts: number[] = [];
  expect(
    await publishApi({ apiUrl, serviceToken: "s", definition, onRetry: (_error, attempt) => attempts.push(attempt) }),
  ).toBe(true);
  expect(attempts).toEqual([1, 2, 3]);
  expect(requests).toHaveLength(4);
});

test("a refusal is not repeated and names the fields", async () => {
  const body = {
    detail: "Not a valid API",
    issues: [{ path: "endpoints.0.path", message: "Not in the document" }, "noise"],
  };
  const { apiUrl, requests } = await controlPlane({ status: 400, body });
  const error = await publishApi({ apiUrl, serviceToken: "s", definition }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PublishRefusedError);
  expect(error).toMatchObject({ status: 400, issues: [{ path: "endpoints.0.path", message: "Not in the document" }] });
  expect(String(error)).toContain("endpoints.0.path: Not in the document");
  expect(requests).toHaveLength(1);
});

test("an abort ends the attempts without an error", async () => {
  const abort = new AbortController();
  const published = publishApi({
    apiUrl: "http://127.0.0.1:1",
    serviceToken: "s",
    definition,
    signal: abort.signal,
    onRetry: () => abort.abort(),
  });
  expect(await published).toBe(false);
});
