import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
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

async function send(
  contentType: string | undefined,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
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
  mustCallRest<{ items: { id: string; record: unknown; subject: string | null; isBase64: boolean }[] }>(
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

/** The specification's own schema of an event in JSON. */
const isCloudEvent = new Ajv({ strict: false, validateFormats: false }).compile(
  JSON.parse(readFileSync(new URL("../test/vectors/cloudevents.schema.json", import.meta.url), "utf8")),
);
const BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const NOT_UTF8 = Uint8Array.from([0x63, 0x61, 0x66, 0xe9]);

test.each([
  ["image/png", BYTES, { data_base64: Buffer.from(BYTES).toString("base64") }],
  ["application/x-protobuf", NOT_UTF8, { data_base64: "Y2Fm6Q==" }],
  // That these bytes could be text does not make them text.
  ["application/octet-stream", "plain", { data_base64: "cGxhaW4=" }],
  ["text/plain; charset=utf-8", "\ufeffcaf\u00e9", { data: "\ufeffcaf\u00e9" }],
  ["text/plain; charset=ISO-8859-1", NOT_UTF8, { data: "caf\u00e9" }],
  ["text/plain", NOT_UTF8, { data_base64: "Y2Fm6Q==" }],
  ["text/plain; charset=none-such", "plain", { data_base64: "cGxhaW4=" }],
  ["application/atom+xml", "<a/>", { data: "<a/>" }],
  ["application/xml", "<a/>", { data: "<a/>" }],
  ["application/x-www-form-urlencoded", "a=b", { data: "a=b" }],
  ["application/vnd.example+json", '{"a":1}', { data: { a: 1 } }],
  ["application/json", "null", { data: null }],
])(
  "a body of %s in binary mode is kept as what it is, in the specification's JSON format",
  async (type, body, kept) => {
    const id = `${type} ${Buffer.from(body).toString("hex", 0, 8)}`;
    const ce = { "ce-specversion": "1.0", "ce-id": encodeURIComponent(id), "ce-source": "/s", "ce-type": "bodies" };
    expect(await send(type, body, ce)).toMatchObject({ status: 200, body: { status: "accepted" } });
    const [row] = await api.database.sql`select event::jsonb from reported_events where event::jsonb ->> 'id' = ${id}`;
    const expected = { specversion: "1.0", id, source: "/s", type: "bodies", datacontenttype: type, ...kept };
    expect(row?.["event"]).toEqual(expected);
    expect(isCloudEvent(row?.["event"]), JSON.stringify(isCloudEvent.errors)).toBe(true);
    // A receiver that sends it on in structured mode says the same.
    expect(
      await send("application/cloudevents+json", JSON.stringify({ ...expected, id: `${id} again` })),
    ).toMatchObject({
      body: { status: "accepted" },
    });
    const { items } = await mustCallRest<Awaited<ReturnType<typeof list>>>(
      api.url,
      "usage.listEvents",
      { projectId, table: "bodies", limit: 200 },
      api.serviceToken,
    );
    const own = items.filter((item) => item.id.startsWith(id));
    expect(own).toHaveLength(2);
    for (const item of own) {
      expect(item).toMatchObject({
        record: "data" in kept ? kept.data : kept.data_base64,
        contentType: type,
        isBase64: "data_base64" in kept,
      });
    }
  },
);

test("extensions have names of lower-case letters and digits, of any length that is reasonable", async () => {
  const long = "comexampleextensionwithalongname1";
  const structured = { ...event("long name"), [long]: "value" };
  expect(isCloudEvent(structured)).toBe(true);
  expect(await send("application/cloudevents+json", JSON.stringify(structured))).toMatchObject({ status: 200 });
  const ce = { "ce-specversion": "1.0", "ce-id": "long header", "ce-source": "/s", "ce-type": "pages" };
  expect(await send(undefined, "", { ...ce, [`ce-${long}`]: "value" })).toMatchObject({ status: 200 });
  for (const name of ["with_underscore", "upperCase", "x".repeat(101)]) {
    const refused = await send("application/cloudevents+json", JSON.stringify({ ...event("bad name"), [name]: 1 }));
    expect(refused).toMatchObject({ status: 400, body: { issues: [{ path: name }] } });
  }
});

test("a header's value is unquoted and decoded as the binding says, and refused when its bytes are no text", async () => {
  const ce = { "ce-specversion": "1.0", "ce-source": "/s", "ce-type": "quoted" };
  const eventOf = async (id: string, subject: string) => {
    expect(await send(undefined, "", { ...ce, "ce-id": id, "ce-subject": subject })).toMatchObject({ status: 200 });
    const [row] = await api.database
      .sql`select event::jsonb from reported_events where type = 'quoted' and event::jsonb ->> 'id' = ${id}`;
    return row?.["event"] as unknown;
  };
  expect(await eventOf("1", '"Euro \\"%E2%82%AC\\" 100%"')).toMatchObject({ subject: 'Euro "\u20ac" 100%' });
  expect(await eventOf("2", "%f0%9f%98%80")).toMatchObject({ subject: "\u{1f600}" });
  expect(await send(undefined, "", { ...ce, "ce-id": "3", "ce-subject": "%C0%A0" })).toMatchObject({
    status: 400,
    body: { issues: [{ path: "subject" }] },
  });
});
