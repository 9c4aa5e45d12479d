import { appRouter } from "@tollgate/routers";
import type { ApiOperation } from "@tollgate/routers/openapi";
import { describeApi } from "@tollgate/routers/openapi";

/**
 * Inputs out of the schemas: an example of every field that must be there, and the ids of somebody in every field that
 * takes an id, whether it must be there or not.
 */
type Body = NonNullable<ApiOperation["requestBody"]>["content"]["application/json"];
type JsonSchema = Body["schema"];

const document = describeApi(appRouter, { serverUrl: "http://api.test" });

function bodyOf(procedure: string): Body | undefined {
  const operation = document.paths[`/rest/${procedure.replaceAll(".", "/")}`]?.post;
  if (operation === undefined) throw new Error(`There is no procedure ${procedure}`);
  return operation.requestBody?.content["application/json"];
}

/** Names of the fields that take an id, and the prefix of the ids that they take. */
export function idFieldsOf(procedure: string): ReadonlyMap<string, string> {
  const properties = alternativesOf(procedure).flatMap((schema) => Object.entries(schema.properties ?? {}));
  return new Map(
    properties.flatMap(([name, property]): [string, string][] => {
      const prefix = prefixOf(property);
      return prefix === undefined ? [] : [[name, prefix]];
    }),
  );
}

function alternativesOf(procedure: string): JsonSchema[] {
  const schema = bodyOf(procedure)?.schema;
  return schema === undefined ? [] : [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
}

const prefixOf = (schema: JsonSchema): string | undefined => /^\^([a-z]+)_\[/.exec(schema.pattern ?? "")?.[1];

/** The fields at the top of an input, those of all its alternatives. */
export function fieldsOf(procedure: string): readonly string[] {
  return [...new Set(alternativesOf(procedure).flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

/** Fields that take any JSON: what is inside of them the schema does not say. */
export function documentsOf(procedure: string): readonly string[] {
  return alternativesOf(procedure)
    .flatMap((schema) => Object.entries(schema.properties ?? {}))
    .filter(([, property]) => typeof property.additionalProperties === "object")
    .map(([name]) => name);
}

/**
 * An input that could be sent. @throws Error for a field that takes an id of which `ids` has none
 */
export function deriveInput(
  procedure: string,
  ids: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> | undefined {
  const body = bodyOf(procedure);
  if (body === undefined) return undefined;
  const filled = [...idFieldsOf(procedure)].map(([name, prefix]): [string, string] => {
    const id = ids[prefix];
    if (id === undefined)
      throw new Error(`${procedure} takes ${name}: the tenant has no id that begins with ${prefix}_`);
    return [name, id];
  });
  return { ...(body.example as Record<string, unknown>), ...Object.fromEntries(filled) };
}
