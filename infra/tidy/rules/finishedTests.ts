import type { Finding, Rule } from "../rule.ts";
import { childOf, childrenOf, nameOf, textOf, walk } from "../syntax.ts";

const TEST_FUNCTIONS = new Set(["test", "it", "describe", "suite", "bench"]);
/** `skipIf` and `runIf` stay: what one operating system lacks is a condition, not an unfinished test. */
const SWITCHED_OFF = new Set(["skip", "only", "todo", "fails"]);

/** Tests run, all of them, say in a sentence what they guarantee, and wait for things rather than for time. */
export const finishedTests: Rule = {
  name: "finished-tests",
  check: (tree) =>
    tree.matching(/\.test\.ts$/).flatMap((path) => {
      const findings: Finding[] = [];
      const find = (start: number, message: string): void => {
        findings.push({ path, line: tree.lineAt(path, start), message });
      };
      for (const node of walk(tree.program(path))) {
        if (node.type === "MemberExpression") {
          const object = nameOf(childOf(node, "object")) ?? "";
          const property = nameOf(childOf(node, "property")) ?? "";
          if (TEST_FUNCTIONS.has(object) && SWITCHED_OFF.has(property)) find(node.start, `${object}.${property}`);
        }
        if (node.type === "CallExpression") {
          const callee = nameOf(childOf(node, "callee"));
          const title = textOf(childrenOf(node, "arguments")[0]);
          if ((callee === "test" || callee === "it") && title !== undefined && !/\S\s+\S+\s+\S/.test(title)) {
            find(node.start, `"${title}" is no sentence that states a guarantee`);
          }
        }
      }
      return findings;
    }),
};
