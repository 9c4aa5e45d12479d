import type { FieldIssue } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";
import type { OpenapiDocument } from "./openapiDocument.ts";
import { pathItemOf } from "./openapiDocument.ts";
import { OpenapiValidator } from "./openapiValidator.ts";

/**
 * The document that an API is published with. It must be a valid OpenAPI 3.0 or 3.1 document and stand on its own: a
 * reference to a file or another host is refused, and nothing is fetched while it is checked.
 */
const DOCUMENT_BYTES_MAX = 16 * 1024 * 1024;

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
  const issues: FieldIssue[] = [];
  for (const [index, endpoint] of endpoints.entries()) {
    const item = pathItemOf(document, endpoint.path);
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

const invalid = (path: string, message: string) =>
  badRequest("The OpenAPI document is not valid", { reason: "openapi_invalid", issues: [{ path, message }] });
