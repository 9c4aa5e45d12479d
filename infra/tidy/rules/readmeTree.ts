import type { Finding, Rule } from "../rule.ts";

const FILE = "README.md";

/**
 * The tree in the README is the tree that is there: every directory at the top has its line, and every directory that is
 * named in parentheses or after a colon as part of it exists.
 */
export const readmeTree: Rule = {
  name: "readme-tree",
  check(tree) {
    const lines = tree.has(FILE) ? tree.lines(FILE) : [];
    const heading = lines.indexOf("## The tree");
    const open = lines.findIndex((line, index) => index > heading && line.startsWith("```"));
    const close = lines.findIndex((line, index) => index > open && line.startsWith("```"));
    if (heading === -1 || open === -1 || close === -1) {
      return [{ path: FILE, message: 'must show the tree in a block under "## The tree"' }];
    }
    const findings: Finding[] = [];
    const shown = new Map<string, number>();
    for (let index = open + 1; index < close; index += 1) {
      const name = /^([\w.-]+)\/ +\S/.exec(lines[index] ?? "")?.[1];
      if (name !== undefined) shown.set(name, index + 1);
    }
    const real = new Set(
      tree.paths.filter((path) => path.includes("/") && !path.startsWith(".")).map((path) => path.split("/")[0] ?? ""),
    );
    for (const name of real) {
      if (!shown.has(name)) findings.push({ path: FILE, line: open + 1, message: `the tree lacks ${name}/` });
    }
    for (const [name, line] of shown) {
      if (!real.has(name)) findings.push({ path: FILE, line, message: `there is no ${name}/` });
    }
    // What is inside these is named on their lines: someone who reads this picks one to open.
    for (const place of ["apps", "packages", "examples", "infra"]) {
      const start = shown.get(place) ?? 0;
      // A description may go on in lines that are indented.
      const end = lines.findIndex((line, index) => index >= start && !line.startsWith(" "));
      const text = start === 0 ? "" : lines.slice(start - 1, end).join("\n");
      const inside = new Set(
        tree.paths
          .map((path) => path.split("/"))
          .flatMap(([top, name, ...rest]) => (top === place && name !== undefined && rest.length > 0 ? name : [])),
      );
      for (const name of inside) {
        if (new RegExp(`\\b${name}\\b`).test(text)) continue;
        findings.push({
          path: FILE,
          line: shown.get(place) ?? open + 1,
          message: `the tree does not name ${place}/${name}`,
        });
      }
    }
    return findings;
  },
};
