import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { assertEndpointsInOpenapi, assertOpenapi } from "./assertOpenapi.ts";
import type { OpenapiDocument } from "./openapiDocument.ts";

const require = createRequire(import.meta.url);
const GALAXY = require.resolve("@scalar/galaxy/3.1.json");
const DIRECTUS = path.join(path.dirname(require.resolve("@directus/specs/package.json")), "dist/openapi.json");
const read = (file: string): OpenapiDocument => JSON.parse(readFileSync(file, "utf8"));

const METHODS = ["get", "put", "post", "delete", "patch", "head", "options"];
const operationsOf = (document: OpenapiDocument) =>
  Object.entries(document["paths"] as Record<string, object>).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => METHODS.includes(method))
      .map((method) => ({ name: "any", method: method.toUpperCase(), path })),
  );

describe("a document that others publish", () => {
  it("is taken as it is, with every operation of it and no other", async () => {
    const document = read(GALAXY);
    await assertOpenapi(document);
    const operations = operationsOf(document);
    expect(operations.length).toBeGreaterThan(5);
    assertEndpointsInOpenapi(document, operations);
    const elsewhere = operations.map((operation) => ({ ...operation, path: `${operation.path}/and-more` }));
    expect(() => assertEndpointsInOpenapi(document, elsewhere)).toThrow(
      expect.objectContaining({ issues: expect.objectContaining({ length: operations.length }) }),
    );
  });

  it("is refused when it is not valid, with what is wrong and where", async () => {
    // One of its bodies has `"schema": null`.
    const document = read(DIRECTUS);
    await expect(assertOpenapi(document)).rejects.toMatchObject({
      reason: "openapi_invalid",
      issues: [{ path: "openapi", message: expect.stringMatching(/must be object.*"schema": null/s) }],
    });
    expect(operationsOf(document).length).toBeGreaterThan(100);
    assertEndpointsInOpenapi(document, operationsOf(document));
  });
});

describe("a document", () => {
  const base = { openapi: "3.1.0", info: { title: "T", version: "1" } };
  const item = { get: { responses: { "200": { description: "OK" } } } };

  it("may keep its path items elsewhere in itself", async () => {
    const document = {
      ...base,
      paths: { "/a": { $ref: "#/components/pathItems/a~1b" }, "/circle": { $ref: "#/paths/~1circle" } },
      components: { pathItems: { "a/b": item } },
    };
    assertEndpointsInOpenapi(document, [{ name: "a", method: "GET", path: "/a" }]);
    for (const [method, path] of [
      ["POST", "/a"],
      ["GET", "/circle"],
      ["GET", "/toString"],
      ["GET", "constructor"],
    ] as const) {
      expect(() => assertEndpointsInOpenapi(document, [{ name: "x", method, path }])).toThrow("Every endpoint must be");
    }
  });

  it("refers to nothing outside itself, however it writes that, and says where it does", async () => {
    for (const reference of ["https://example.test/a.json", "//example.test/a", "file:///etc/passwd", "../a.yaml#/b"]) {
      const document = {
        ...base,
        paths: { "/a": item },
        components: { schemas: { A: { items: { $ref: reference } } } },
      };
      await expect(assertOpenapi(document)).rejects.toMatchObject({
        reason: "openapi_invalid",
        issues: [{ path: "openapi.components.schemas.A.items.$ref" }],
      });
    }
  });

  it("has at most 16 MiB", async () => {
    const document = { ...base, paths: { "/a": item }, "x-padding": "x".repeat(17 * 1024 * 1024) };
    await expect(assertOpenapi(document)).rejects.toMatchObject({ issues: [{ path: "openapi" }] });
  });
});
