import type { FieldIssue } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";
import { OpenapiValidator } from "./openapiValidator.ts";

/**
 * The document that an API is published with. It must be a valid OpenAPI 3.0 or 3.1 document and stand on its own: a
 * reference to a file or another host is refused, and nothing is fetched while it is checked.
 */
export type OpenapiDocument = Record<string, unknown>;

const DOCUMENT_BYTES_MAX = 16 * 1024 * 1024;
/** References that refer to references, at most. */
const REFERENCES_MAX = 10;

const validator = new OpenapiValidator();

/** @throws TollgateError BAD_REQUEST with an issue on `openapi` that says what is wrong and where */
export async function assertOpenapi(document: OpenapiDocument): Promise<void> {
  const text = JSON.stringify(document);
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX) {
    throw invalid("openapi", `Must be at most ${DOCUMENT_BYTES_MAX / 1024 / 1024} MiB`);
  }
  const version = document["openapi"];
  if (typeof version !== "string" || !/^3\.[01]\.\d+/.test(version)) {
    throw invalid("openapi.openapi", "Must be an OpenAPI document of version 3.0 or 3.1");
  }
  const outside = findOutsideReference(document);
  if (outside !== undefined) {
    throw invalid(`openapi.${outside}`, 'Must not refer to another document: only references that begin with "#" work');
  }
  const { problem } = await validator.check(text);
  if (problem !== undefined) throw invalid("openapi", problem);
}

/** The endpoints must be operations of the document. @throws TollgateError BAD_REQUEST with an issue for each that is not */
export function assertEndpointsInOpenapi(
  document: OpenapiDocument,
  endpoints: readonly { readonly name: string; readonly method: string; readonly path: string }[],
): void {
  const paths = isObject(document["paths"]) ? document["paths"] : {};
  const issues: FieldIssue[] = [];
  for (const [index, endpoint] of endpoints.entries()) {
    const item = Object.hasOwn(paths, endpoint.path) ? resolveItem(document, paths[endpoint.path]) : undefined;
    if (item === undefined) {
      issues.push({
        path: `endpoints.${index}.path`,
        message: `${endpoint.path} is not a path of the OpenAPI document`,
      });
    } else if (!Object.hasOwn(item, endpoint.method.toLowerCase())) {
      const message = `${endpoint.method} ${endpoint.path} is not an operation of the OpenAPI document`;
      issues.push({ path: `endpoints.${index}.method`, message });
    }
  }
  if (issues.length > 0) {
    throw badRequest("Every endpoint must be an operation of the OpenAPI document", { issues });
  }
}

/** The path item itself, or the one that it refers to; undefined when there is none. */
function resolveItem(document: OpenapiDocument, item: unknown): Record<string, unknown> | undefined {
  let current = item;
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
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    current =
      typeof current === "object" && current !== null && Object.hasOwn(current, key)
        ? Reflect.get(current, key)
        : undefined;
  }
  return current;
}

interface Place {
  readonly value: object;
  readonly key: string;
  readonly parent: Place | undefined;
}

/** The dotted path of the first `$ref` that leaves the document. Iterative: a document may be nested deeper than the stack. */
function findOutsideReference(document: OpenapiDocument): string | undefined {
  const open: Place[] = [{ value: document, key: "", parent: undefined }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    for (const [key, value] of Object.entries(place.value)) {
      if (key === "$ref" && typeof value === "string" && !value.startsWith("#")) return `${pathOf(place)}$ref`;
      if (typeof value === "object" && value !== null) open.push({ value, key, parent: place });
    }
  }
  return undefined;
}

function pathOf(place: Place): string {
  return place.parent === undefined ? "" : `${pathOf(place.parent)}${place.key}.`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const invalid = (path: string, message: string) =>
  badRequest("The OpenAPI document is not valid", { reason: "openapi_invalid", issues: [{ path, message }] });
