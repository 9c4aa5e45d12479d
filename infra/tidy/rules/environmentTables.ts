import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";
import type { SyntaxNode } from "../syntax.ts";
import { childOf, childrenOf, nameOf, walk } from "../syntax.ts";

const GUIDE = "docs/guides/operate.md";
const COMMON = "packages/kernel/src/env.ts";

/** A variable as env.ts declares it. */
export interface Variable {
  readonly name: string;
  /** As the table shows it: a default, `required`, or `optional`. */
  readonly shown: string;
}

/**
 * Every environment variable of every process stands in the operator's guide, under a heading with the process's
 * directory, with the default that its env.ts gives it; and nothing else does.
 */
export const environmentTables: Rule = {
  name: "environment-tables",
  check(tree) {
    const processes = tree.matching(/^apps\/[^/]+\/src\/env\.ts$/);
    if (processes.length > 0 && !tree.has(GUIDE)) return [{ path: GUIDE, message: "is missing" }];
    return processes.flatMap((file) => compare(tree, file));
  },
};

function compare(tree: SourceTree, file: string): Finding[] {
  const app = file.split("/").slice(0, 2).join("/");
  const table = readTable(tree, app);
  if (table === undefined) return [{ path: GUIDE, message: `has no table under a heading with ${app}` }];
  const wanted = new Map(declaredVariables(tree, file).map(({ name, shown }) => [name, shown]));
  const findings: Finding[] = [];
  for (const [name, shown] of wanted) {
    const row = table.get(name);
    if (row === undefined) findings.push({ path: GUIDE, message: `${app}: ${name} is missing (${shown})` });
    else if (row.shown !== shown) {
      findings.push({ path: GUIDE, line: row.line, message: `${app}: ${name} is "${shown}", not "${row.shown}"` });
    }
  }
  for (const [name, { line }] of table) {
    if (!wanted.has(name)) findings.push({ path: GUIDE, line, message: `${app} does not read ${name}` });
  }
  return findings;
}

/** Rows `| NAME | default | … |` of the tables under the heading that names the app. */
function readTable(tree: SourceTree, app: string): Map<string, { shown: string; line: number }> | undefined {
  const lines = tree.lines(GUIDE);
  const start = lines.findIndex((line) => line.startsWith("### ") && line.includes(app));
  if (start === -1) return undefined;
  const rows = new Map<string, { shown: string; line: number }>();
  for (let index = start + 1; index < lines.length && !/^#{1,3} /.test(lines[index] ?? ""); index += 1) {
    const [, name, shown] = /^\| `([A-Z][A-Z0-9_]*)` \| (.*?) \|/.exec(lines[index] ?? "") ?? [];
    if (name !== undefined && shown !== undefined)
      rows.set(name, { shown: shown.replaceAll("`", ""), line: index + 1 });
  }
  return rows;
}

/**
 * The variables of all schemas in an env.ts, and those that it spreads from the common one; or those of one part of a file,
 * which a declaration names.
 */
export function declaredVariables(tree: SourceTree, file: string, part?: string): Variable[] {
  const variables = new Map<string, Variable>();
  for (const node of walk(part === undefined ? tree.program(file) : declarationOf(tree, file, part))) {
    if (node.type !== "ObjectExpression") continue;
    for (const property of childrenOf(node, "properties")) {
      const spread = property.type === "SpreadElement" ? nameOf(childOf(property, "argument")) : undefined;
      // What a file spreads of its own is a schema of the file, which is looked at anyway.
      if (spread !== undefined && file !== COMMON && findDeclaration(tree, file, spread) === undefined) {
        for (const variable of declaredVariables(tree, COMMON, spread)) variables.set(variable.name, variable);
      }
      const name = nameOf(childOf(property, "key"));
      const value = childOf(property, "value");
      if (name === undefined || value === undefined || !/^[A-Z][A-Z0-9_]*$/.test(name)) continue;
      // The first declaration counts: a second schema in the file may relax it for a command of its own.
      if (!variables.has(name)) variables.set(name, { name, shown: shownDefault(tree, file, value) });
    }
  }
  return [...variables.values()];
}

const findDeclaration = (tree: SourceTree, file: string, name: string): SyntaxNode | undefined =>
  walk(tree.program(file)).find((node) => node.type === "VariableDeclarator" && nameOf(childOf(node, "id")) === name);

function declarationOf(tree: SourceTree, file: string, name: string): SyntaxNode {
  const declared = findDeclaration(tree, file, name);
  if (declared === undefined) throw new Error(`${file} declares no ${name}`);
  return declared;
}

/**
 * What the chain of calls (`z.string().default("x")`) gives when the variable is not set. A schema with a name of its own
 * is looked up in the file.
 */
function shownDefault(tree: SourceTree, file: string, value: SyntaxNode): string {
  for (const node of walk(value)) {
    const callee = node.type === "CallExpression" ? childOf(node, "callee") : undefined;
    const method = nameOf(callee === undefined ? undefined : childOf(callee, "property"));
    if (method === "optional") return "optional";
    const argument = childrenOf(node, "arguments")[0];
    if (method !== "default" || argument === undefined) continue;
    const text = tree.text(file).slice(argument.start, argument.end);
    const given = text.replace(/^"|"$/g, "").replace(/(?<=\d)_(?=\d)/g, "");
    return given === "" ? "empty" : given;
  }
  const named = nameOf(value.type === "Identifier" ? value : undefined);
  const declared = named === undefined ? undefined : findDeclaration(tree, file, named);
  const schema = declared === undefined ? undefined : childOf(declared, "init");
  return schema === undefined ? "required" : shownDefault(tree, file, schema);
}
