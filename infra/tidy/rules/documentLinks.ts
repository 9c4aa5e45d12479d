import path from "node:path";
import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";

const LINK = /(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)/g;

/** Links between documents, and from documents into the code, lead somewhere. */
export const documentLinks: Rule = {
  name: "document-links",
  check: (tree) =>
    tree.matching(/\.md$/).flatMap((file) => {
      const findings: Finding[] = [];
      let isCode = false;
      for (const [index, line] of tree.lines(file).entries()) {
        if (line.startsWith("```")) isCode = !isCode;
        if (isCode) continue;
        for (const match of line.matchAll(LINK)) {
          const target = match[1] ?? match[2] ?? "";
          const message = /^[a-z]+:/.test(target) ? undefined : judgeLink(tree, file, target);
          if (message !== undefined) findings.push({ path: file, line: index + 1, message });
        }
      }
      return findings;
    }),
};

function judgeLink(tree: SourceTree, file: string, target: string): string | undefined {
  const [place = "", anchor] = target.split("#");
  const linked = place === "" ? file : path.posix.join(path.posix.dirname(file), place).replace(/\/$/, "");
  if (!tree.hasAny(linked)) return `${target} leads nowhere`;
  if (anchor === undefined || !linked.endsWith(".md")) return undefined;
  return headingAnchors(tree, linked).includes(anchor) ? undefined : `${linked} has no heading #${anchor}`;
}

/** The anchors that a document's headings get: lower case, spaces to hyphens, punctuation gone. */
export function headingAnchors(tree: SourceTree, file: string): string[] {
  return tree
    .lines(file)
    .filter((line) => /^#{1,6} /.test(line))
    .map((line) =>
      line
        .replace(/^#+ /, "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    );
}
