import type { Finding, Rule } from "../rule.ts";
import type { SyntaxNode } from "../syntax.ts";
import { childOf, childrenOf, nameOf, walk } from "../syntax.ts";

/** What reads or sets a Date in the time zone of the machine. Their UTC counterparts are other methods. */
const LOCAL_METHOD =
  /^(?:[gs]et(?:FullYear|Month|Date|Day|Hours|Minutes|Seconds|Milliseconds|Year)|getTimezoneOffset|toDateString|toTimeString)$/;
/** What formats in the time zone of the machine unless it is told another. */
const FORMATTING = /^(?:toLocaleDateString|toLocaleTimeString|DateTimeFormat)$/;

/**
 * The server's own time zone does not matter: an account's months and days are those of its own zone, by the kernel's
 * periods, and everything else is UTC.
 */
export const ownTimeZone: Rule = {
  name: "own-time-zone",
  check: (tree) =>
    tree.matching(/\.(?:ts|mjs)$/).flatMap((path) =>
      walk(tree.program(path)).flatMap((node): Finding[] => {
        const found = describeLocal(node);
        if (found === undefined) return [];
        const message = `${found} depends on the machine's time zone: use the kernel's periods, or UTC`;
        return [{ path, line: tree.lineAt(path, node.start), message }];
      }),
    ),
};

function describeLocal(node: SyntaxNode): string | undefined {
  if (node.type !== "CallExpression" && node.type !== "NewExpression") return undefined;
  const callee = childOf(node, "callee");
  const given = childrenOf(node, "arguments");
  if (callee?.type === "Identifier") {
    return node.type === "NewExpression" && nameOf(callee) === "Date" && given.length > 1 ? "new Date(…)" : undefined;
  }
  if (callee?.type !== "MemberExpression") return undefined;
  const method = nameOf(childOf(callee, "property")) ?? "";
  if (LOCAL_METHOD.test(method)) return method;
  return FORMATTING.test(method) && !given.some(saysTimeZone) ? method : undefined;
}

const saysTimeZone = (argument: SyntaxNode): boolean =>
  walk(argument).some((node) => node.type === "Property" && nameOf(childOf(node, "key")) === "timeZone");
