import { isKnownNoun } from "../domains.ts";
import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";
import { childOf, childrenOf, nameOf, textOf, walk } from "../syntax.ts";

/** Where a domain's name stands in a path, and which names there are of the layer itself. */
const PLACES: readonly { readonly pattern: RegExp; readonly own: readonly string[] }[] = [
  {
    pattern: /^packages\/contracts\/src\/([^/.]+)(?:\.test)?\.ts$/,
    own: ["definitions", "events", "index", "jobs", "primitives", "webhookEvents"],
  },
  { pattern: /^packages\/db\/src\/schema\/([^/.]+)(?:\.test)?\.ts$/, own: ["columns", "index"] },
  { pattern: /^packages\/services\/src\/([^/]+)\//, own: [] },
  { pattern: /^apps\/workers\/src\/([^/]+)\//, own: ["relay", "schedules", "testing"] },
  {
    pattern: /^packages\/routers\/src\/([^/.]+)(?:\.int)?(?:\.test)?\.ts$/,
    own: ["appRouter", "context", "errors", "index", "trpc", "wire", "wireValues"],
  },
];

/** Calls that name something of a domain: `defineEvent("keys.revoked", …)`, and the argument or field that has the name. */
const NAMED_BY: Readonly<Record<string, "first" | "name" | "action">> = {
  defineEvent: "first",
  defineJob: "name",
  writeAudit: "action",
};

/** One noun, one spelling, in every layer: in the names of files, events, jobs and audited actions. */
export const oneSpelling: Rule = {
  name: "one-spelling",
  check: (tree) => [...fileFindings(tree), ...nameFindings(tree), ...routerFindings(tree)],
};

function fileFindings(tree: SourceTree): Finding[] {
  return tree.paths.flatMap((file) => {
    for (const { pattern, own } of PLACES) {
      const noun = pattern.exec(file)?.[1];
      if (noun === undefined || own.includes(noun) || isKnownNoun(noun)) continue;
      return [{ path: file, message: `"${noun}" is no domain: see infra/tidy/domains.ts` }];
    }
    return [];
  });
}

function nameFindings(tree: SourceTree): Finding[] {
  const findings: Finding[] = [];
  for (const file of tree.matching(/^packages\/(?:contracts|services)\/src\/.*\.ts$/)) {
    if (file.endsWith(".test.ts")) continue;
    for (const node of walk(tree.program(file))) {
      if (node.type !== "CallExpression") continue;
      const callee = nameOf(childOf(node, "callee"));
      const where = callee === undefined ? undefined : NAMED_BY[callee];
      if (where === undefined) continue;
      const values = childrenOf(node, "arguments").flatMap((argument) =>
        where === "first"
          ? [argument]
          : childrenOf(argument, "properties")
              .filter((property) => nameOf(childOf(property, "key")) === where)
              .flatMap((property) => childOf(property, "value") ?? []),
      );
      for (const value of values.slice(0, 1)) {
        const name = textOf(value);
        // A name that is passed in is spelled, and checked, where it comes from.
        if (name === undefined || isKnownNoun(name.split(".")[0] ?? "")) continue;
        findings.push({
          path: file,
          line: tree.lineAt(file, value.start),
          message: `"${name}" does not begin with a domain: see infra/tidy/domains.ts`,
        });
      }
    }
  }
  return findings;
}

/** In the router tree a domain stands under its own name: `keys: keysRouter`. */
function routerFindings(tree: SourceTree): Finding[] {
  const file = "packages/routers/src/appRouter.ts";
  if (!tree.has(file)) return [];
  const findings: Finding[] = [];
  for (const node of walk(tree.program(file))) {
    if (node.type !== "Property") continue;
    const key = nameOf(childOf(node, "key"));
    const value = nameOf(childOf(node, "value"));
    if (key !== undefined && value === `${key}Router` && tree.has(`packages/routers/src/${key}.ts`)) continue;
    findings.push({
      path: file,
      line: tree.lineAt(file, node.start),
      message: `${key ?? "an entry"} must be ${key ?? "name"}Router of ./${key ?? "name"}.ts`,
    });
  }
  return findings;
}
