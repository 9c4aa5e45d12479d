import { cloudEvent } from "@tollgate/contracts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { planIngest } from "./planIngest.ts";

const NOW = Date.parse("2026-01-15T12:00:00Z");
const event = (more: object = {}) => ({ specversion: "1.0", id: "1", source: "/s", type: "t", ...more });
const judge = (raw: unknown) => planIngest("prj_1", [raw], NOW).answer.results[0];
const pathsOf = (raw: unknown) => judge(raw)?.issues?.map(({ path }) => path);

test("the examples of the specification are taken", () => {
  const sources = [
    "https://github.com/cloudevents",
    "mailto:cncf-wg-serverless@lists.cncf.io",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
    "cloudevents/spec/pull/123",
    "/sensors/tn-1234567/alerts",
    "1-555-123-4567",
  ];
  for (const source of sources) expect(judge(event({ source }))?.status).toBe("accepted");
  const full = event({
    type: "com.example.someevent",
    subject: "mynewfile.jpg",
    time: "2018-04-05T17:31:00Z",
    datacontenttype: "text/xml",
    dataschema: "https://example.com/schema",
    comexampleextension1: "value",
    comexampleothervalue: 5,
    data: '<much wow="xml"/>',
  });
  expect(judge(full)).toEqual({ source: "/s", id: "1", status: "accepted" });
  expect(judge(event({ datacontenttype: "image/png", data_base64: "Zm9vYg==" }))?.status).toBe("accepted");
  for (const data of [0, false, "", null, [], {}]) expect(judge(event({ data }))?.status).toBe("accepted");
});

test("amounts of the typed client are kept as decimal text", () => {
  const plan = planIngest("prj_1", [event({ data: { micros: 2n ** 70n } })], NOW);
  expect(plan.events[0]?.json).toContain('"micros":"1180591620717411303424"');
});

test("what is wrong with an event is told by attribute", () => {
  expect(pathsOf({})).toEqual(["specversion", "id", "source", "type"]);
  expect(pathsOf(event({ specversion: "0.3" }))).toEqual(["specversion"]);
  expect(pathsOf(event({ id: "" }))).toEqual(["id"]);
  expect(pathsOf(event({ source: "a b" }))).toEqual(["source"]);
  expect(pathsOf(event({ time: "yesterday" }))).toEqual(["time"]);
  expect(pathsOf(event({ time: "2026-01-15T14:00:00Z" }))).toEqual(["time"]);
  expect(pathsOf(event({ dataschema: "relative" }))).toEqual(["dataschema"]);
  expect(pathsOf(event({ data: 1, data_base64: "Zg==" }))).toEqual(["data_base64"]);
  expect(pathsOf(event({ "Not-A-Name": "x" }))).toEqual(["Not-A-Name"]);
  expect(pathsOf(event({ extension: { nested: true } }))).toEqual(["extension"]);
  expect(pathsOf(event({ data: "x".repeat(65_536) }))).toEqual(["data"]);
  expect(pathsOf(event({ data: "a\0b" }))).toEqual(["data"]);
  expect(pathsOf(event({ data: { deep: "\ud800" } }))).toEqual(["data"]);
  expect(judge(event({ data: "\\u0000 and \u{1f600}" }))?.status).toBe("accepted");
  for (const nonsense of [null, 1, "text", []]) expect(judge(nonsense)?.status).toBe("rejected");
});

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);

test("a bad event never stands in the way of the others, and an event twice in a batch is there once", () => {
  const plan = planIngest("prj_1", [event(), { bad: true }, event({ id: "2" }), event({ data: "again" })], NOW);
  expect(plan.answer.results.map(({ status }) => status)).toEqual(["accepted", "rejected", "accepted", "accepted"]);
  expect(plan.answer).toMatchObject({ accepted: 3, rejected: 1 });
  expect(plan.events.map(({ json }) => JSON.parse(json)).sort(byId)).toEqual([event(), event({ id: "2" })]);
});

test("no two pairs of source and id are taken for each other, whatever is in them", () => {
  const id = fc.stringMatching(/^[/,:;" a-c\\[\]|-]{1,4}$/);
  const source = fc
    .stringMatching(/^[/,:;"a-c\\[\]|-]{1,4}$/)
    .filter((text) => cloudEvent.shape.source.safeParse(text).success);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(source, id), { minLength: 2, selector: ([a, b]) => `${a.length} ${a}${b}` }),
      (pairs) => {
        const plan = planIngest(
          "prj_1",
          pairs.map(([source, id]) => event({ source, id })),
          NOW,
        );
        expect(plan.events).toHaveLength(pairs.length);
      },
    ),
  );
});
