import type { JsonSchema } from "./jsonSchema.ts";

/** One line of a table of fields. */
export interface Field {
  /** Dotted from the root; `[]` stands for each item of a list. */
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly notes: string;
}

const DEPTH_MAX = 4;

/** The fields of an object, those of nested objects and lists after their parent. */
export function describeFields(
  schema: JsonSchema,
  components: Readonly<Record<string, JsonSchema>>,
  prefix = "",
  depth = 0,
): Field[] {
  const resolved = withoutNull(resolve(schema, components), components).schema;
  if (depth > DEPTH_MAX) return [];
  if (resolved.items !== undefined) return describeFields(resolved.items, components, `${prefix}[]`, depth + 1);
  return Object.entries(resolved.properties ?? {}).flatMap(([name, property]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const isRequired = resolved.required?.includes(name) ?? false;
    const field = {
      name: path,
      type: typeName(property, components),
      isRequired,
      notes: notesOf(property, components),
    };
    return [field, ...describeFields(property, components, path, depth + 1)];
  });
}

/** A schema's type in a few words: `string`, `list of object`, `date-time or null`. */
export function typeName(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): string {
  if (schema.$ref?.endsWith("/Micros") === true) return "micros";
  const { schema: plain, isNullable } = withoutNull(resolve(schema, components), components);
  const suffix = isNullable ? " or null" : "";
  if (plain !== schema && schemaIsMicros(schema)) return `micros${suffix}`;
  if (plain.enum !== undefined) return plain.enum.map((value) => JSON.stringify(value)).join(" | ") + suffix;
  if (plain.const !== undefined) return JSON.stringify(plain.const) + suffix;
  const alternatives = plain.anyOf ?? plain.oneOf;
  if (alternatives !== undefined)
    return alternatives.map((option) => typeName(option, components)).join(" or ") + suffix;
  if (plain.items !== undefined) return `list of ${typeName(plain.items, components)}${suffix}`;
  const idPrefix = /^\^([a-z]+_)\[/.exec(plain.pattern ?? "")?.[1];
  if (idPrefix !== undefined) return `id ${idPrefix}…${suffix}`;
  if (plain.pattern === "^-?\\d{1,19}$") return `micros${suffix}`;
  return `${plain.format ?? plain.type ?? "anything"}${suffix}`;
}

const schemaIsMicros = (schema: JsonSchema): boolean =>
  schema.anyOf?.some((option) => option.$ref?.endsWith("/Micros") === true) ?? false;

function notesOf(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): string {
  const resolved = resolve(schema, components);
  const bound = (value: number | undefined, text: (value: number) => string): string | undefined =>
    value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : text(value);
  const length = resolved.type === "array" ? "items" : "characters";
  return [
    schema.$ref === undefined ? resolved.description : undefined,
    schema.default === undefined ? undefined : `Default ${JSON.stringify(schema.default)}.`,
    bound(resolved.minimum, (value) => `At least ${value}.`),
    bound(resolved.maximum, (value) => `At most ${value}.`),
    bound(resolved.maxLength ?? (resolved["maxItems"] as number | undefined), (value) => `At most ${value} ${length}.`),
  ]
    .filter((note) => note !== undefined)
    .join(" ");
}

function resolve(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): JsonSchema {
  if (schema.$ref === undefined) return schema;
  return components[schema.$ref.slice("#/components/schemas/".length)] ?? {};
}

function withoutNull(
  schema: JsonSchema,
  components: Readonly<Record<string, JsonSchema>>,
): { readonly schema: JsonSchema; readonly isNullable: boolean } {
  const options = schema.anyOf;
  if (options === undefined || !options.some((option) => option.type === "null")) return { schema, isNullable: false };
  const others = options.filter((option) => option.type !== "null");
  const [only] = others;
  return {
    schema: others.length === 1 && only !== undefined ? resolve(only, components) : { anyOf: others },
    isNullable: true,
  };
}
