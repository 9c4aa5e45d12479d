import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { exampleRequest } from "./exampleRequest.ts";
import type { OpenapiDocument } from "./openapiDocument.ts";
import { makeSnippets } from "./snippets.ts";

const document = (paths: Record<string, unknown>, schemas: Record<string, unknown> = {}): OpenapiDocument => ({
  openapi: "3.1.0",
  info: { title: "T", version: "1" },
  paths,
  components: { schemas, parameters: { id: { name: "id", in: "path", required: true, schema: { type: "integer" } } } },
});

describe("the example of a request", () => {
  it("has what is required, from examples where there are some, and nothing else", () => {
    const operation = {
      parameters: [
        { name: "text", in: "query", required: true, example: "a & b" },
        { name: "size", in: "query", required: true, schema: { type: "integer", minimum: 64 } },
        { name: "level", in: "query", schema: { enum: ["L", "M"] } },
        { name: "X-Mode", in: "header", required: true, schema: { enum: ["fast"] } },
      ],
      requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Order" } } } },
      responses: { "201": { description: "", content: { "image/png": {} } } },
    };
    const order = {
      type: "object",
      required: ["at", "items", "who"],
      properties: {
        at: { type: "string", format: "date-time" },
        note: { type: "string" },
        items: { type: "array", minItems: 1, items: { allOf: [{ $ref: "#/components/schemas/Item" }] } },
        who: { oneOf: [{ type: ["null", "string"], default: "me" }] },
      },
    };
    const item = { required: ["name"], properties: { name: { type: "string", examples: ["tea"] } } };
    const of = document(
      { "/orders/{id}": { parameters: [{ $ref: "#/components/parameters/id" }], post: operation } },
      { Order: order, Item: item },
    );
    expect(exampleRequest(of, { method: "POST", path: "/orders/{id}" })).toEqual({
      pathValues: ["1"],
      query: [
        ["text", "a & b"],
        ["size", "64"],
      ],
      headers: [["X-Mode", "fast"]],
      body: { at: "2027-01-31T12:00:00Z", items: [{ name: "tea" }], who: "me" },
      answerType: "image/png",
    });
  });

  it("comes to an end when schemas do not", () => {
    const required = Array.from({ length: 20 }, (_, index) => `p${index}`);
    const node = { type: "object", required, properties: {} as Record<string, unknown> };
    for (const name of required) node.properties[name] = { $ref: "#/components/schemas/Node" };
    const body = { content: { "application/json": { schema: { $ref: "#/components/schemas/Node" } } } };
    const of = document({ "/a": { post: { requestBody: body } } }, { Node: node });
    const startedMs = performance.now();
    const { body: sample } = exampleRequest(of, { method: "POST", path: "/a" });
    expect(performance.now() - startedMs).toBeLessThan(200);
    expect(JSON.stringify(sample).length).toBeLessThan(20_000);
  });
});

describe("a snippet", () => {
  const hostile = `it's "quoted" $(touch nowhere) \`x\` \\ and\nmore`;
  const example = {
    pathValues: ["a/b c"],
    query: [["text", hostile]] as const,
    headers: [["X-Note", "it's"]] as const,
    body: { text: hostile },
    answerType: undefined,
  };
  const { curl, typescript, url } = makeSnippets(
    "https://gateway.test",
    "texts",
    { name: "count", method: "POST" },
    example,
  );

  it("says to a shell exactly what is meant, whatever is in it", () => {
    const printed = execFileSync("sh", ["-c", curl.replace(/^curl/, "printf '%s\\0'")], {
      env: { TOLLGATE_KEY: "tg_test_key" },
      encoding: "utf8",
    }).split("\0");
    expect(printed.slice(0, -1)).toEqual([
      "--fail-with-body",
      "-X",
      "POST",
      `${url}/a%2Fb%20c?${new URLSearchParams({ text: hostile })}`,
      "-H",
      "Authorization: Bearer tg_test_key",
      "-H",
      "X-Note: it's",
      "-H",
      "Content-Type: application/json",
      "-d",
      JSON.stringify(example.body),
    ]);
  });

  it("says the same in TypeScript", async () => {
    const calls: [string, RequestInit][] = [];
    const fakeFetch = async (target: string, init: RequestInit) => {
      calls.push([target, init]);
      return { ok: true, text: async () => "answer" };
    };
    const run = new Function("fetch", "process", "console", `return (async () => { ${typescript} })()`);
    await run(fakeFetch, { env: { TOLLGATE_KEY: "tg_test_key" } }, { log: () => undefined });
    const [[target, init]] = calls as [[string, RequestInit]];
    expect(target).toBe(`${url}/a%2Fb%20c?${new URLSearchParams({ text: hostile })}`);
    expect(init).toEqual({
      method: "POST",
      headers: { Authorization: "Bearer tg_test_key", "X-Note": "it's", "Content-Type": "application/json" },
      body: JSON.stringify(example.body),
    });
  });
});
