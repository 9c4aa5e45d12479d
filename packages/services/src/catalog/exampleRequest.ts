import type { OpenapiDocument } from "./openapiDocument.ts";
import { isObject, pathItemOf, resolveObject } from "./openapiDocument.ts";

/**
 * A request that an operation of a document would take: everything it requires and nothing else, with the document's own
 * examples where it has some, and otherwise the simplest values that its schemas allow. A document may be built to have
 * endless examples, so only so much of one is looked at.
 */
export interface ExampleRequest {
  /** The values of the path's parameters, in order. */
  readonly pathValues: readonly string[];
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** JSON; undefined when the operation takes none. */
  readonly body: unknown;
  /** The media type of its answer; undefined when the document does not say. */
  readonly answerType: string | undefined;
}

const SCHEMAS_MAX = 300;
const DEPTH_MAX = 8;
const STRING_BY_FORMAT: Readonly<Record<string, string>> = {
  date: "2027-01-31",
  "date-time": "2027-01-31T12:00:00Z",
  email: "somebody@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  uri: "https://example.com",
  url: "https://example.com",
  uuid: "3f2b8c1e-9a4d-4f6b-8e2a-5c7d9b1a0e3f",
};

export function exampleRequest(
  document: OpenapiDocument,
  endpoint: { readonly method: string; readonly path: string },
): ExampleRequest {
  const sampler = new Sampler(document);
  const item = pathItemOf(document, endpoint.path) ?? {};
  const operation = resolveObject(document, item[endpoint.method.toLowerCase()]) ?? {};
  const parameters = [...listOf(item["parameters"]), ...listOf(operation["parameters"])].flatMap(
    (parameter): Record<string, unknown>[] => {
      const found = resolveObject(document, parameter);
      return found === undefined ? [] : [found];
    },
  );
  const valuesIn = (place: string, isWanted: (parameter: Record<string, unknown>) => boolean) => {
    const found = parameters.filter((parameter) => parameter["in"] === place && isWanted(parameter));
    // What the operation says comes after what its path says, and counts.
    return new Map(found.map((parameter) => [String(parameter["name"]), sampler.textOf(parameter)]));
  };
  const byName = valuesIn("path", () => true);
  const names = [...endpoint.path.matchAll(/\{([^}]*)\}/g)].map(([, name = ""]) => name);
  const isRequired = (parameter: Record<string, unknown>) => parameter["required"] === true;
  return {
    pathValues: names.map((name) => byName.get(name) ?? name),
    query: [...valuesIn("query", isRequired)],
    headers: [...valuesIn("header", isRequired)].filter(([name]) => name.toLowerCase() !== "authorization"),
    body: sampler.bodyOf(operation["requestBody"]),
    answerType: answerTypeOf(document, operation),
  };
}

function answerTypeOf(document: OpenapiDocument, operation: Record<string, unknown>): string | undefined {
  const responses = isObject(operation["responses"]) ? operation["responses"] : {};
  const success = Object.keys(responses).find((status) => status.startsWith("2")) ?? "default";
  const content = resolveObject(document, responses[success])?.["content"];
  return isObject(content) ? Object.keys(content)[0] : undefined;
}

class Sampler {
  readonly #document: OpenapiDocument;
  #schemasLeft = SCHEMAS_MAX;

  constructor(document: OpenapiDocument) {
    this.#document = document;
  }

  /** The value of a parameter, as it stands in a URL or a header. */
  textOf(parameter: Record<string, unknown>): string {
    const value = this.#given(parameter) ?? this.sample(parameter["schema"], 0);
    if (Array.isArray(value)) return value.map(String).join(",");
    return isObject(value) ? JSON.stringify(value) : String(value ?? "string");
  }

  /** A JSON body, if the operation takes one. */
  bodyOf(requestBody: unknown): unknown {
    const content = resolveObject(this.#document, requestBody)?.["content"];
    const media = isObject(content) ? content["application/json"] : undefined;
    if (!isObject(media)) return undefined;
    return this.#given(media) ?? this.sample(media["schema"], 0) ?? {};
  }

  sample(schemaOrReference: unknown, depth: number): unknown {
    const schema = resolveObject(this.#document, schemaOrReference);
    this.#schemasLeft -= 1;
    if (schema === undefined || depth > DEPTH_MAX || this.#schemasLeft < 0) return null;
    const given = this.#given(schema) ?? schema["const"] ?? listOf(schema["enum"])[0] ?? schema["default"];
    if (given !== undefined) return given;
    const [choice] = [...listOf(schema["oneOf"]), ...listOf(schema["anyOf"])];
    if (choice !== undefined) return this.sample(choice, depth + 1);
    const parts = listOf(schema["allOf"]).map((part) => this.sample(part, depth + 1));
    const [part] = parts;
    if (part !== undefined && !isObject(part)) return part;
    const own = this.#byType(schema, depth);
    return parts.length === 0 ? own : Object.assign({}, ...parts.filter(isObject), isObject(own) ? own : {});
  }

  #byType(schema: Record<string, unknown>, depth: number): unknown {
    const types = [schema["type"]].flat().filter((type) => type !== "null");
    switch (types[0] ?? (isObject(schema["properties"]) ? "object" : undefined)) {
      case "object":
        return this.#object(schema, depth);
      case "array":
        return numberOf(schema["minItems"]) > 0 ? [this.sample(schema["items"], depth + 1)] : [];
      case "integer":
      case "number":
        return typeof schema["minimum"] === "number" ? schema["minimum"] : 1;
      case "boolean":
        return true;
      case "string":
        return stringOf(schema);
      default:
        return undefined;
    }
  }

  #object(schema: Record<string, unknown>, depth: number): Record<string, unknown> {
    const properties = isObject(schema["properties"]) ? schema["properties"] : {};
    const required = listOf(schema["required"]).filter((name) => typeof name === "string");
    return Object.fromEntries(required.map((name) => [name, this.sample(properties[name], depth + 1)]));
  }

  /** The first example that is written down, as 3.0, 3.1 or JSON Schema write them. */
  #given(holder: Record<string, unknown>): unknown {
    if (holder["example"] !== undefined) return holder["example"];
    const { examples } = holder;
    if (Array.isArray(examples)) return examples[0];
    const first = isObject(examples) ? Object.values(examples)[0] : undefined;
    return resolveObject(this.#document, first)?.["value"];
  }
}

function stringOf(schema: Record<string, unknown>): string {
  const { format } = schema;
  const known = typeof format === "string" && Object.hasOwn(STRING_BY_FORMAT, format);
  const text = known ? (STRING_BY_FORMAT[format] ?? "") : "string";
  return text.padEnd(Math.min(numberOf(schema["minLength"]), 100), "x");
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0);
