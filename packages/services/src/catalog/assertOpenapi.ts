import { compileErrors, validate } from "@readme/openapi-parser";
import type { FieldIssue } from "@tollgate/kernel";
import { badRequest } from "@tollgate/kernel";

/**
 * The document that an API is published with. It must be a valid OpenAPI 3.0 or 3.1 document and stand on its own: a
 * reference to a file or another host is refused, and nothing is fetched while it is checked.
 */
export type OpenapiDocument = Record<string, unknown>;

const DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;
const VALIDATION_MS_MAX = 10_000;

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
  const problem = await findProblem(text);
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
    const item = Object.hasOwn(paths, endpoint.path) ? paths[endpoint.path] : undefined;
    if (!isObject(item)) {
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

/** The validator rewrites what it is given, so it gets a copy; what it throws speaks of the document, too. */
async function findProblem(text: string): Promise<string | undefined> {
  try {
    const result = await validate(JSON.parse(text), {
      resolve: { external: false, file: false },
      dereference: { circular: "ignore" },
      timeoutMs: VALIDATION_MS_MAX,
    });
    return result.valid ? undefined : compileErrors(result).slice(0, 2_000);
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 2_000) : "Cannot be read as an OpenAPI document";
  }
}

/** The dotted path of the first `$ref` that leaves the document. Iterative: a document may be nested deeper than the stack. */
function findOutsideReference(document: OpenapiDocument): string | undefined {
  const open: { readonly value: unknown; readonly path: string }[] = [{ value: document, path: "" }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!isObject(next.value) && !Array.isArray(next.value)) continue;
    for (const [key, value] of Object.entries(next.value)) {
      const path = next.path === "" ? key : `${next.path}.${key}`;
      if (key === "$ref" && typeof value === "string" && !value.startsWith("#")) return path;
      if (typeof value === "object" && value !== null) open.push({ value, path });
    }
  }
  return undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const invalid = (path: string, message: string) =>
  badRequest("The OpenAPI document is not valid", { reason: "openapi_invalid", issues: [{ path, message }] });
