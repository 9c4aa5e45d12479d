import path from "node:path";
import type { Finding, Rule } from "../rule.ts";
import { moduleLinks } from "../syntax.ts";
import type { Workspace } from "../workspaces.ts";
import { readWorkspaces, SCOPE, workspaceOf } from "../workspaces.ts";

/** Who may reach past a door, into what. Benchmarks time single steps of a process, which no caller has a use for. */
const MAY_REACH: Readonly<Record<string, string>> = { bench: "apps/gateway" };

/** A package is entered by its `exports` and nowhere else; inside it files import each other by path. */
export const doors: Rule = {
  name: "doors",
  check(tree) {
    const workspaces = readWorkspaces(tree);
    const findings: Finding[] = [];
    for (const file of tree.matching(/\.ts$/)) {
      for (const { specifier, start } of moduleLinks(tree.program(file))) {
        const message = specifier.startsWith(SCOPE)
          ? doorFinding(workspaces, specifier)
          : pathFinding(workspaces, file, specifier);
        if (message !== undefined) findings.push({ path: file, line: tree.lineAt(file, start), message });
      }
    }
    return findings;
  },
};

function doorFinding(workspaces: readonly Workspace[], specifier: string): string | undefined {
  const workspace = workspaces.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`));
  if (workspace === undefined) return `imports ${specifier}, which is no workspace`;
  const wanted = `.${specifier.slice(workspace.name.length)}`;
  const isDoor = Object.keys(workspace.exports).some((door) => {
    if (!door.includes("*")) return door === wanted;
    const [before = "", after = ""] = door.split("*");
    const middle = wanted.slice(before.length, wanted.length - after.length);
    return wanted.startsWith(before) && wanted.endsWith(after) && /^[^/]+$/.test(middle);
  });
  return isDoor ? undefined : `imports ${specifier}, which is not among the exports of ${workspace.name}`;
}

function pathFinding(workspaces: readonly Workspace[], file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const from = workspaceOf(workspaces, file);
  const to = workspaceOf(workspaces, target);
  if (from === to || (from !== undefined && to !== undefined && MAY_REACH[from.dir] === to.dir)) return undefined;
  return `reaches by path into ${to?.dir ?? "the root"}: use the package's name`;
}
