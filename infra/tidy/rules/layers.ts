import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";
import { moduleLinks } from "../syntax.ts";
import type { Workspace } from "../workspaces.ts";
import { isTestFile, readWorkspaces, SCOPE, workspaceOf } from "../workspaces.ts";

/** What each workspace of the product may build on. Dependencies point down only, so this table has no cycle. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  "packages/kernel": [],
  "packages/telemetry": ["kernel"],
  "packages/contracts": ["kernel"],
  "packages/config": ["kernel"],
  "packages/db": ["kernel", "telemetry", "contracts"],
  "packages/messaging": ["kernel", "telemetry", "contracts"],
  "packages/services": ["kernel", "telemetry", "contracts", "config", "db", "messaging"],
  "packages/routers": ["kernel", "contracts", "config", "db", "messaging", "services"],
  // The client knows the routers' types and none of their code.
  "packages/client": ["kernel", "config"],
};
const APPS_MAY_USE = ["kernel", "telemetry", "contracts", "config", "db", "messaging", "services", "routers"];
// The dashboard is a front end: it sees what any customer's front end sees.
const WEB_MAY_USE = ["kernel", "contracts", "client"];
const EXAMPLES_MAY_USE = ["client"];
/** Workspaces that start, test or measure the product and are no part of it: they may use all of it. */
const TOOLING = ["packages/testing", "infra/dev", "bench"];
/** Types that may be imported past the table. */
const TYPES_MAY_USE: Readonly<Record<string, readonly string[]>> = { "packages/client": ["routers"] };

/** Dependencies point down only: apps → routers → services → {db, contracts, config, messaging} → kernel. */
export const layers: Rule = {
  name: "layers",
  check(tree) {
    const workspaces = readWorkspaces(tree);
    return workspaces.flatMap((workspace) => {
      const allowed = allowedNames(workspace.dir);
      if (allowed === "all") return [];
      if (allowed === undefined) {
        return [{ path: `${workspace.dir}/package.json`, message: "has no place in the table of layers" }];
      }
      return [...manifestFindings(workspace, allowed), ...importFindings(tree, workspaces, workspace, allowed)];
    });
  },
};

function allowedNames(dir: string): readonly string[] | "all" | undefined {
  if (TOOLING.includes(dir)) return "all";
  if (dir === "apps/web") return WEB_MAY_USE;
  if (dir.startsWith("apps/")) return APPS_MAY_USE;
  if (dir.startsWith("examples/")) return EXAMPLES_MAY_USE;
  return MAY_USE[dir];
}

const shortName = (name: string): string => name.slice(SCOPE.length).split("/")[0] ?? "";

function manifestFindings(workspace: Workspace, allowed: readonly string[]): Finding[] {
  return workspace.dependencies
    .filter((name) => name.startsWith(SCOPE) && !allowed.includes(shortName(name)))
    .map((name) => ({ path: `${workspace.dir}/package.json`, message: `may not depend on ${name}` }));
}

function importFindings(
  tree: SourceTree,
  workspaces: readonly Workspace[],
  workspace: Workspace,
  allowed: readonly string[],
): Finding[] {
  const findings: Finding[] = [];
  const types = TYPES_MAY_USE[workspace.dir] ?? [];
  for (const file of tree.matching(/\.ts$/)) {
    if (workspaceOf(workspaces, file) !== workspace) continue;
    for (const link of moduleLinks(tree.program(file))) {
      if (!link.specifier.startsWith(SCOPE)) continue;
      const target = shortName(link.specifier);
      const isAllowed = isTestFile(file) || allowed.includes(target) || (link.isTypeOnly && types.includes(target));
      const isDeclared = [workspace.name, ...workspace.dependencies, ...workspace.devDependencies].includes(
        `${SCOPE}${target}`,
      );
      const message = !isAllowed
        ? `may not import ${link.specifier}: dependencies point down only`
        : !isDeclared
          ? `imports ${link.specifier}, which its package.json does not name`
          : undefined;
      if (message !== undefined) findings.push({ path: file, line: tree.lineAt(file, link.start), message });
    }
  }
  return findings;
}
