import { validate } from "@readme/openapi-parser";
import type { AnyTRPCProcedure } from "@trpc/server";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { appRouter } from "../appRouter.ts";
import { inputsOf } from "../http/createRestHandler.ts";
import { procedureMap } from "../http/procedureMap.ts";
import type { ProcedureMeta } from "../trpc.ts";
import { publicProcedure, router } from "../trpc.ts";
import type { ApiDocument } from "./describeApi.ts";
import { describeApi } from "./describeApi.ts";
import { renderReference } from "./renderReference.ts";

const SERVER = { serverUrl: "https://api.example.com" };
const document = describeApi(appRouter, SERVER);
const procedures = [...procedureMap(appRouter)];
const operationOf = (path: string) => document.paths[`/rest/${path.replaceAll(".", "/")}`]?.post;

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1", async () => {
    const result = await validate(JSON.parse(JSON.stringify(document)));
    expect(result).toMatchObject({ valid: true, warnings: [] });
  });

  it("names every component that it refers to", () => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(schemas|responses)\/([^"]+)"/g);
    for (const [, kind, name] of references) {
      expect(document.components[kind as "schemas" | "responses"]).toHaveProperty([name as string]);
    }
  });

  it.each(procedures)("describes %s, who may call it and what it answers", (path, procedure) => {
    const meta = (procedure as AnyTRPCProcedure)._def.meta as ProcedureMeta;
    const operation = operationOf(path);
    expect(meta.description).toMatch(/^[A-Z].{20,}\.$/);
    expect(operation?.operationId).toBe(path);
    expect(operation?.security).toEqual(meta.caller === "public" ? [] : [{ bearer: [] }]);
    expect(Object.keys(schemaOfAnswer(document, path))).not.toHaveLength(0);
  });

  it.each(procedures.filter(([, procedure]) => inputsOf(procedure).length > 0))(
    "shows an example for %s that the procedure takes",
    (path, procedure) => {
      const example = operationOf(path)?.requestBody?.content["application/json"].example;
      for (const schema of inputsOf(procedure)) {
        const parsed = (schema as z.ZodType).safeParse(example);
        expect(parsed.error?.issues ?? []).toEqual([]);
      }
    },
  );

  it("writes amounts as decimal strings, instants as date-time, and drops the typed client's bigint", () => {
    const probe = router({
      things: router({
        probe: publicProcedure
          .meta({ description: "A probe of the types that JSON lacks." })
          .input(z.object({ micros: z.union([z.bigint(), z.string().regex(/^-?\d{1,19}$/)]), at: z.coerce.date() }))
          .output(z.object({ at: z.date().nullable(), micros: z.bigint(), tree: z.json() }))
          .query(() => ({ at: null, micros: 0n, tree: [] })),
      }),
    });
    const described = describeApi(probe, SERVER);
    const operation = described.paths["/rest/things/probe"]?.post;
    const amount = { type: "string", pattern: "^-?\\d{1,19}$" };
    expect(operation?.requestBody?.content["application/json"].schema).toMatchObject({
      properties: { micros: amount, at: { type: "string", format: "date-time" } },
      required: ["micros", "at"],
    });
    expect(schemaOfAnswer(described, "things.probe")).toMatchObject({
      properties: { at: { anyOf: [{ format: "date-time" }, { type: "null" }] }, micros: amount },
    });
    expect(described.components.schemas).toHaveProperty("Recursive");
  });
});

function schemaOfAnswer(described: ApiDocument, path: string): object {
  const answer = described.paths[`/rest/${path.replaceAll(".", "/")}`]?.post.responses["200"];
  if (answer === undefined || !("content" in answer)) throw new Error(`${path} has no answer`);
  return Object.values(answer.content)[0]?.schema ?? {};
}

describe("the reference page", () => {
  const page = renderReference(document);

  it.each(procedures)("has a section and a link for %s", (path) => {
    expect(page).toContain(`<article id="${path}"`);
    expect(page).toContain(`href="#${path}"`);
  });

  it("loads nothing from elsewhere", () => {
    expect(page).not.toMatch(/<(script|link|img|iframe)[^>]*\s(src|href)=/);
    expect(page).not.toMatch(/@import|url\(/);
  });

  it("shows descriptions as text, whatever they contain", () => {
    const hostile = router({
      things: router({
        probe: publicProcedure
          .meta({ description: '<script>alert("x")</script> is a description.' })
          .output(z.string())
          .query(() => "x"),
      }),
    });
    const hostilePage = renderReference(describeApi(hostile, SERVER));
    expect(hostilePage).not.toContain("<script>alert");
    expect(hostilePage).toContain("&#60;script&#62;alert");
  });
});
