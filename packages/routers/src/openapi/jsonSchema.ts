import { z } from "zod";

/** JSON Schema 2020-12, as far as it is written and read here. */
export interface JsonSchema {
  $ref?: string;
  type?: string;
  format?: string;
  pattern?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  additionalProperties?: boolean | JsonSchema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  [keyword: string]: unknown;
}

const AMOUNT: JsonSchema = { type: "string", pattern: "^-?\\d{1,19}$" };
const MICROS: JsonSchema = {
  ...AMOUNT,
  description: "An integer number of micros (1,000,000 to the currency unit), as a decimal string.",
};

/** Schemas that several procedures share, by name. */
export type Components = Record<string, JsonSchema>;

/**
 * The schema of a zod type as REST sees it: bigints are decimal strings and dates ISO 8601 text. Types that were given
 * an id, and those that contain themselves, become shared components.
 */
export function toJsonSchema(schema: z.ZodType, io: "input" | "output", components: Components): JsonSchema {
  const {
    $schema: _,
    $defs,
    ...plain
  } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const { type } = zodSchema._zod.def;
      if (type === "date") Object.assign(jsonSchema, { type: "string", format: "date-time" });
      // The pattern of an instant says nothing that the format does not, at ten times the length.
      if (jsonSchema.format === "date-time" || jsonSchema.format === "date") delete jsonSchema.pattern;
      if (type === "bigint") Object.assign(jsonSchema, AMOUNT);
      if (z.globalRegistry.get(zodSchema)?.id === "Micros") Object.assign(jsonSchema, MICROS);
    },
  }) as JsonSchema & { $defs?: Components };
  const names = nameComponents($defs ?? {}, components);
  return tidy(plain, names);
}

/** Adds definitions to the components, and says under which names. Without a name of their own they are numbered. */
function nameComponents(definitions: Components, components: Components): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [name, definition] of Object.entries(definitions)) {
    for (let attempt = 1; ; attempt += 1) {
      const base = name.startsWith("__") ? "Recursive" : name;
      const candidate = attempt === 1 ? base : `${base}${attempt}`;
      const tidied = tidy(definition, new Map([...names, [name, candidate]]));
      const existing = components[candidate];
      if (existing !== undefined && JSON.stringify(existing) !== JSON.stringify(tidied)) continue;
      components[candidate] = tidied;
      names.set(name, candidate);
      break;
    }
  }
  return names;
}

/** Points references at the document's components, and drops alternatives that are the same in JSON. */
function tidy(schema: JsonSchema, names: ReadonlyMap<string, string>): JsonSchema {
  const copy = mapSchema(schema, names);
  if (copy.anyOf === undefined) return copy;
  const alternatives = [...new Map(copy.anyOf.map((option) => [JSON.stringify(option), option])).values()];
  const [only] = alternatives;
  if (alternatives.length > 1 || only === undefined) return { ...copy, anyOf: alternatives };
  const { anyOf: _, ...rest } = copy;
  return { ...only, ...rest };
}

function mapSchema(schema: JsonSchema, names: ReadonlyMap<string, string>): JsonSchema {
  const mapped = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (keyword === "$ref") {
      const name = String(value).slice("#/$defs/".length);
      return [keyword, `#/components/schemas/${names.get(name) ?? name}`];
    }
    if (keyword === "properties") {
      const properties = Object.entries(value as Components);
      return [keyword, Object.fromEntries(properties.map(([name, property]) => [name, tidy(property, names)]))];
    }
    if (keyword === "default") return [keyword, plainJson(value)];
    if (keyword === "anyOf" || keyword === "oneOf" || keyword === "allOf") {
      return [keyword, (value as JsonSchema[]).map((part) => tidy(part, names))];
    }
    if (SUBSCHEMAS.has(keyword) && typeof value === "object" && value !== null) {
      return [keyword, tidy(value as JsonSchema, names)];
    }
    return [keyword, value];
  });
  return Object.fromEntries(mapped) as JsonSchema;
}

const SUBSCHEMAS: ReadonlySet<string> = new Set(["items", "additionalProperties", "propertyNames"]);

const plainJson = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, field: unknown) => (typeof field === "bigint" ? field.toString() : field)));
