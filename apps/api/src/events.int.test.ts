import { afterAll, beforeAll, expect, test } from "vitest";
import { mustCallRest } from "../test/callRest.ts";
import { createOperator, signIn } from "../test/tenant.ts";
import type { TestApi } from "../test/testApi.ts";
import { startTestApi } from "../test/testApi.ts";

/** CloudEvents over HTTP, as senders that know nothing of this product send them. */
let api: TestApi;
let projectId: string;
let token: string;

beforeAll(async () => {
  api = await startTestApi();
  ({ token } = await signIn(api, await createOperator(api)));
  ({ id: projectId } = await mustCallRest<{ id: string }>(api.url, "projects.create", { name: "Events" }, token));
});
afterAll(() => api.close());

const event = (id: string, more: object = {}) => ({ specversion: "1.0", id, source: "/s", type: "pages", ...more });

async function send(contentType: string | undefined, body: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}/v1/events?projectId=${projectId}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${api.serviceToken}`,
      ...(contentType === undefined ? {} : { "content-type": contentType }),
      ...headers,
    },
    body,
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const list = () =>
  mustCallRest<{ items: { id: string; record: unknown; subject: string | null }[] }>(
    api.url,
    "usage.listEvents",
    { projectId, table: "pages" },
    api.serviceToken,
  );

test("an event is taken in structured and in binary mode, and as part of a batch", async () => {
  const structured = JSON.stringify(event("structured", { data: { a: 1 } }));
  const first = await send("application/cloudevents+json; charset=utf-8", structured);
  expect(first).toEqual({ status: 200, body: { source: "/s", id: "structured", status: "accepted" } });
  expect(await send("application/cloudevents+json", structured)).toEqual(first);
  const headers = { "ce-specversion": "1.0", "ce-id": "binary", "ce-source": "/s", "ce-type": "pages" };
  const binary = await send("application/json", '{"b":2}', { ...headers, "ce-subject": "Euro%20%E2%82%AC" });
  expect(binary).toMatchObject({ status: 200, body: { id: "binary", status: "accepted" } });
  await send("text/plain", "plain words", { ...headers, "ce-id": "text" });
  const batch = [event("in a batch"), event("rejected", { type: "" }), event("with NUL", { data: "\0" })];
  expect(await send("application/cloudevents-batch+json", JSON.stringify(batch))).toMatchObject({
    status: 200,
    body: { accepted: 1, rejected: 2, results: [{ status: "accepted" }, { issues: [{ path: "type" }] }, {}] },
  });
  const { items } = await list();
  const records = Object.fromEntries(items.map(({ id, record, subject }) => [id, { record, subject }]));
  expect(records).toEqual({
    structured: { record: { a: 1 }, subject: null },
    binary: { record: { b: 2 }, subject: "Euro €" },
    text: { record: "plain words", subject: null },
    "in a batch": { record: null, subject: null },
  });
});

test("what is not an event is refused with a problem that says why", async () => {
  expect(await send("application/cloudevents+json", "{")).toMatchObject({ status: 400 });
  expect(await send("application/cloudevents+json", JSON.stringify(event("", {})))).toMatchObject({
    status: 400,
    body: { code: "invalid_event", issues: [{ path: "id" }] },
  });
  expect(await send("application/json", JSON.stringify(event("1")))).toMatchObject({
    status: 415,
    body: { code: "unsupported_media_type" },
  });
  const many = JSON.stringify(Array.from({ length: 1_001 }, (_, index) => event(`many ${index}`)));
  expect(await send("application/cloudevents-batch+json", many)).toMatchObject({
    status: 413,
    body: { code: "too_many_events" },
  });
  expect(await send("application/cloudevents-batch+json", "[]")).toMatchObject({ status: 200, body: { results: [] } });
});

test("only services send events, and only of projects that there are", async () => {
  const body = JSON.stringify(event("1"));
  const post = (bearer: string | undefined, project: string) =>
    fetch(`${api.url}/v1/events?projectId=${project}`, {
      method: "POST",
      headers: {
        "content-type": "application/cloudevents+json",
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      body,
    }).then(({ status }) => status);
  expect(await post(undefined, projectId)).toBe(401);
  expect(await post(token, projectId)).toBe(403);
  expect(await post(api.serviceToken, "prj_0000000000000000000000")).toBe(404);
  expect(await post(api.serviceToken, "nonsense")).toBe(400);
});
