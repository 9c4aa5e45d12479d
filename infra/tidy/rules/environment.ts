import { z } from "zod";
import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";
import { childOf, nameOf, walk } from "../syntax.ts";
import { isTestFile } from "../workspaces.ts";

/**
 * Where the environment may be read: a process's env.ts, the kernel's `parseEnv` that it calls, and what starts, tests or
 * measures the product.
 */
const MAY_READ = [
  /(?:^|\/)env\.ts$/,
  /^infra\//,
  /^bench\//,
  /^packages\/testing\//,
  /^[^/]*\.config\.ts$/,
  /\.config\.ts$/,
];
/** The same places, as biome.json names them. */
const BIOME_MAY_READ = ["**/env.ts", "infra/**", "bench/**", "**/*.config.ts", "packages/testing/**"];

const biomeSchema = z.object({
  linter: z.object({ rules: z.object({ style: z.record(z.string(), z.unknown()) }) }),
  overrides: z.array(
    z.object({
      includes: z.array(z.string()),
      linter: z.object({ rules: z.record(z.string(), z.record(z.string(), z.unknown())) }).optional(),
    }),
  ),
});

/** A process reads its environment once, at start, in its env.ts; biome's rule for that has no holes. */
export const environment: Rule = {
  name: "environment",
  check: (tree) => [...readingFindings(tree), ...biomeFindings(tree)],
};

function readingFindings(tree: SourceTree): Finding[] {
  return tree.matching(/\.ts$/).flatMap((file) => {
    if (isTestFile(file) || MAY_READ.some((place) => place.test(file))) return [];
    return walk(tree.program(file))
      .filter(
        (node) =>
          node.type === "MemberExpression" &&
          nameOf(childOf(node, "object")) === "process" &&
          nameOf(childOf(node, "property")) === "env",
      )
      .map((node) => ({
        path: file,
        line: tree.lineAt(file, node.start),
        message: "reads the environment: only a process's env.ts does",
      }));
  });
}

function biomeFindings(tree: SourceTree): Finding[] {
  const file = "biome.json";
  if (!tree.has(file)) return [];
  const biome = biomeSchema.parse(JSON.parse(tree.text(file)));
  const findings: Finding[] = [];
  if (biome.linter.rules.style["noProcessEnv"] !== "error") {
    findings.push({ path: file, message: "noProcessEnv must be an error" });
  }
  for (const { includes, linter } of biome.overrides) {
    if (linter?.rules["style"]?.["noProcessEnv"] === undefined) continue;
    for (const place of includes.filter((include) => !BIOME_MAY_READ.includes(include))) {
      findings.push({ path: file, message: `lets ${place} read the environment` });
    }
  }
  return findings;
}
