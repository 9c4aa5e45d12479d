/** Finding one's way in a document that has been checked. */
export type OpenapiDocument = Record<string, unknown>;

/** References that refer to references, at most. */
const REFERENCES_MAX = 10;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object itself, or the one that it refers to in the document; undefined when there is none. */
export function resolveObject(document: OpenapiDocument, value: unknown): Record<string, unknown> | undefined {
  let current = value;
  for (let hops = 0; isObject(current) && typeof current["$ref"] === "string"; hops += 1) {
    if (hops === REFERENCES_MAX) return undefined;
    current = resolvePointer(document, current["$ref"]);
  }
  return isObject(current) ? current : undefined;
}

/** What a JSON pointer (RFC 6901) in a fragment points at. */
function resolvePointer(document: OpenapiDocument, reference: string): unknown {
  let current: unknown = document;
  for (const part of reference.split("/").slice(1)) {
    const key = decodeFragment(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, key)) return undefined;
    current = Reflect.get(current, key);
  }
  return current;
}

function decodeFragment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The path item of a path, wherever in the document it is. */
export function pathItemOf(document: OpenapiDocument, path: string): Record<string, unknown> | undefined {
  const paths = isObject(document["paths"]) ? document["paths"] : {};
  return Object.hasOwn(paths, path) ? resolveObject(document, paths[path]) : undefined;
}
