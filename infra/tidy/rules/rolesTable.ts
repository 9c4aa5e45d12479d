import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";
import type { SyntaxNode } from "../syntax.ts";
import { childOf, childrenOf, nameOf, textOf, walk } from "../syntax.ts";

const SOURCE = "packages/services/src/permissions.ts";
const DOCUMENT = "docs/roles.md";
const CALLS = new Set([
  "requireMember",
  "requireMembership",
  "requireKey",
  "requireOwner",
  "requireEndpoint",
  "requireRule",
]);

/**
 * docs/roles.md shows the table that the verbs ask, and every procedure of the table is asked for by a verb. The document's
 * table is written by `node --import tsx infra/tidy/writeRoles.ts`.
 */
export const rolesTable: Rule = {
  name: "roles-table",
  check(tree) {
    if (!tree.has(SOURCE)) return [];
    const findings: Finding[] = [];
    const shown = tree.has(DOCUMENT) ? tree.text(DOCUMENT) : "";
    if (!shown.includes(renderRoles(tree))) {
      findings.push({ path: DOCUMENT, message: "is not what the code says: run infra/tidy/writeRoles.ts" });
    }
    const asked = new Set(
      tree.matching(/^packages\/services\/src\/[^/]+\/[^/]+\.ts$/).flatMap((file) => askedPermissions(tree, file)),
    );
    for (const procedure of readTable(tree, "PROJECT_PERMISSIONS").keys()) {
      if (!asked.has(procedure)) findings.push({ path: SOURCE, message: `no verb asks for "${procedure}"` });
    }
    return findings;
  },
};

function askedPermissions(tree: SourceTree, file: string): string[] {
  if (file.endsWith(".test.ts")) return [];
  return walk(tree.program(file)).flatMap((node) => {
    const callee = node.type === "CallExpression" ? nameOf(childOf(node, "callee")) : undefined;
    if (callee === undefined || !CALLS.has(callee)) return [];
    return childrenOf(node, "arguments").flatMap((argument) => textOf(argument) ?? []);
  });
}

/** The table as it stands in the document: a row a procedure, a column a role. */
export function renderRoles(tree: SourceTree): string {
  const includes = readTable(tree, "ROLE_INCLUDES");
  const roles = [...includes.keys()];
  const rows = [...readTable(tree, "PROJECT_PERMISSIONS")].map(([procedure, wanted]) => {
    const cells = roles.map((role) => (wanted.some((one) => includes.get(role)?.includes(one)) ? "✓" : ""));
    return `| \`${procedure}\` | ${cells.join(" | ")} |`;
  });
  return [`| procedure | ${roles.join(" | ")} |`, `|---|${roles.map(() => ":-:|").join("")}`, ...rows].join("\n");
}

/** An object of lists of texts, by the name of its constant. @throws Error when it is not there */
function readTable(tree: SourceTree, name: string): ReadonlyMap<string, readonly string[]> {
  for (const node of walk(tree.program(SOURCE))) {
    if (node.type !== "VariableDeclarator" || nameOf(childOf(node, "id")) !== name) continue;
    const object = walk(node).find((part) => part.type === "ObjectExpression");
    if (object !== undefined) return new Map(childrenOf(object, "properties").flatMap(readRow));
  }
  throw new Error(`${SOURCE} has no table ${name}`);
}

function readRow(property: SyntaxNode): [string, readonly string[]][] {
  const name = nameOf(childOf(property, "key"));
  const value = childOf(property, "value");
  if (name === undefined || value === undefined) return [];
  return [[name, childrenOf(value, "elements").flatMap((element) => textOf(element) ?? [])]];
}
