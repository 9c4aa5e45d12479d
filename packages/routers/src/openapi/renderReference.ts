import type { ApiDocument, ApiOperation } from "./describeApi.ts";
import { describeFields, typeName } from "./describeFields.ts";
import type { JsonSchema } from "./jsonSchema.ts";
import { REFERENCE_SCRIPT, REFERENCE_STYLE } from "./referenceAssets.ts";

/** A page that people can read, of the same document that machines get. */
export function renderReference(document: ApiDocument): string {
  const operations = Object.entries(document.paths)
    .filter(([path]) => path.startsWith("/rest/"))
    .map(([path, { post }]) => ({ path, operation: post }));
  const domains = document.tags.map(({ name }) => ({
    name,
    operations: operations.filter(({ operation }) => operation.tags[0] === name),
  }));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(document.info.title)} reference</title>
<style>${REFERENCE_STYLE}</style>
</head>
<body>
<div class="page">
<nav aria-label="Procedures">
<strong>${escapeHtml(document.info.title)}</strong>
<input id="search" type="search" placeholder="Search, or press /" aria-label="Search procedures" autocomplete="off">
${domains.map((domain) => renderNavGroup(domain.name, domain.operations)).join("\n")}
</nav>
<main>
<h1>${escapeHtml(document.info.title)} API</h1>
<p class="lead">${renderProse(document.info.description)} The same as an <a href="/openapi.json">OpenAPI document</a>.</p>
<p class="none" hidden>Nothing matches.</p>
${domains.map((domain) => renderDomain(document, domain.name, domain.operations)).join("\n")}
</main>
</div>
<script>${REFERENCE_SCRIPT}</script>
</body>
</html>
`;
}

interface Entry {
  readonly path: string;
  readonly operation: ApiOperation;
}

function renderNavGroup(domain: string, entries: readonly Entry[]): string {
  const links = entries.map(
    ({ operation }) =>
      `<li ${searchable(domain, operation)}><a href="#${operation.operationId}">${escapeHtml(shortName(operation))}</a></li>`,
  );
  return `<section data-group="${escapeHtml(domain)}"><h2>${escapeHtml(domain)}</h2><ul>${links.join("")}</ul></section>`;
}

function renderDomain(document: ApiDocument, domain: string, entries: readonly Entry[]): string {
  const heading = `<h2 data-group="${escapeHtml(domain)}">${escapeHtml(domain)}</h2>`;
  return heading + entries.map((entry) => renderOperation(document, domain, entry)).join("\n");
}

function renderOperation(document: ApiDocument, domain: string, { path, operation }: Entry): string {
  const { schemas } = document.components;
  const [description = "", caller = ""] = operation.description.split("\n\n");
  const input = operation.requestBody?.content["application/json"];
  const answer = operation.responses["200"];
  const content = answer !== undefined && "content" in answer ? answer.content : {};
  const isStream = "text/event-stream" in content;
  const output = (content["application/json"] ?? content["text/event-stream"])?.schema;
  return `<article id="${operation.operationId}" ${searchable(domain, operation)}>
<div>
<h3><a href="#${operation.operationId}">${escapeHtml(operation.operationId)}</a></h3>
<p>${renderProse(description)}</p>
<p class="caller">${escapeHtml(caller)}</p>
${input === undefined ? "" : renderFields("Input", input.schema, schemas)}
${output === undefined ? "" : renderFields(isStream ? "Each message" : "Output", output, schemas)}
</div>
<pre><code>${escapeHtml(curlOf(document, path, operation))}</code></pre>
</article>`;
}

function renderFields(title: string, schema: JsonSchema, schemas: Readonly<Record<string, JsonSchema>>): string {
  const fields = describeFields(schema, schemas);
  if (fields.length === 0) {
    const isEmpty = schema.type === "object" || Object.keys(schema).length === 0;
    return isEmpty ? "" : `<h4>${title}</h4><span class="type">${escapeHtml(typeName(schema, schemas))}</span>`;
  }
  const rows = fields.map(
    (field) =>
      `<tr><td><span class="name">${escapeHtml(field.name)}</span>${
        field.isRequired || title !== "Input" ? "" : ' <span class="optional">optional</span>'
      }</td><td><span class="type">${escapeHtml(field.type)}</span> <span class="notes">${escapeHtml(field.notes)}</span></td></tr>`,
  );
  return `<h4>${title}</h4><table><tbody>${rows.join("")}</tbody></table>`;
}

/** A call that can be pasted into a shell. */
function curlOf(document: ApiDocument, path: string, operation: ApiOperation): string {
  const body = operation.requestBody?.content["application/json"].example;
  const isStream =
    operation.responses["200"] !== undefined && "content" in operation.responses["200"]
      ? "text/event-stream" in operation.responses["200"].content
      : false;
  const lines = [`curl ${isStream ? "-N " : ""}-X POST ${document.servers[0]?.url ?? ""}${path}`];
  if (operation.security.length > 0) lines.push('  -H "Authorization: Bearer $TOKEN"');
  if (body !== undefined) {
    lines.push('  -H "Content-Type: application/json"');
    lines.push(`  -d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''").replaceAll("\n", "\n  ")}'`);
  }
  return lines.join(" \\\n");
}

function searchable(domain: string, operation: ApiOperation): string {
  const text = `${operation.operationId} ${operation.description}`.toLowerCase();
  return `data-domain="${escapeHtml(domain)}" data-text="${escapeHtml(text)}"`;
}

const shortName = (operation: ApiOperation): string => operation.operationId.split(".").slice(1).join(".");

/** Text whose `code` is set as code. */
const renderProse = (text: string): string => escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
