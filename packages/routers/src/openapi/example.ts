import type { JsonSchema } from "./jsonSchema.ts";

/** What fields of a name hold, where their schema does not tell. */
const BY_NAME: Readonly<Record<string, unknown>> = {
  password: "correct horse battery",
  code: "7KQ2M9XA",
  idempotencyKey: "order-1042",
  reference: "Order 1042",
  key: "tg_live_…",
  refreshToken: "…",
  method: "GET",
  path: "/forecast/{city}",
};

/** An input that could be sent: every required field, and nothing else. */
export function exampleOf(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>, name = ""): unknown {
  if (schema.$ref !== undefined) {
    const target = components[schema.$ref.slice("#/components/schemas/".length)];
    return target === undefined ? {} : exampleOf(target, components, name);
  }
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const alternative = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (alternative !== undefined) return exampleOf(alternative, components, name);
  if (schema.allOf !== undefined) {
    return Object.assign({}, ...schema.allOf.map((part) => exampleOf(part, components, name)));
  }
  switch (schema.type) {
    case "object":
      return objectExample(schema, components);
    case "array":
      return schema.items === undefined ? [] : [exampleOf(schema.items, components, name.replace(/s$/, ""))];
    case "integer":
    case "number":
      return Math.max(schema.minimum ?? 1, 1);
    case "boolean":
      return true;
    case "string":
      return stringExample(schema, name);
    default:
      return {};
  }
}

function objectExample(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): Record<string, unknown> {
  const required = (schema.required ?? []).map((name): [string, unknown] => {
    const property = schema.properties?.[name];
    return [name, property === undefined ? {} : exampleOf(property, components, name)];
  });
  return Object.fromEntries(required);
}

function stringExample(schema: JsonSchema, name: string): unknown {
  const named = BY_NAME[name];
  if (named !== undefined) return named;
  if (schema.format === "date-time") return name === "to" ? "2027-01-31T00:00:00Z" : "2027-01-01T00:00:00Z";
  if (schema.format === "email" || /email/i.test(name)) return "ada@example.com";
  if (schema.format === "uri") return "https://example.com";
  if (schema.pattern?.includes("\\d{1,19}") === true) return "1000000";
  const prefix = /^\^([a-z]+)_\[/.exec(schema.pattern ?? "")?.[1];
  return prefix === undefined
    ? name
    : `${prefix}_${name.startsWith("to") ? "9tYs3QhB6vKj1nWdE5MxCe" : "4fDq8ZkT2mXw9bNcR7LpVa"}`;
}
