import { fileURLToPath } from "node:url";
import { RULES } from "./rules/index.ts";
import { readSourceTree } from "./sourceTree.ts";

/** Checks the house's rules over the checkout that this file is in. Prints each finding as `path:line rule message`. */
const startedAtMs = performance.now();
const tree = readSourceTree(fileURLToPath(new URL("../..", import.meta.url)));
let count = 0;
for (const rule of RULES) {
  for (const { path, line, message } of await rule.check(tree)) {
    count += 1;
    process.stderr.write(`${path}${line === undefined ? "" : `:${line}`} ${rule.name}: ${message}\n`);
  }
}
const elapsedMs = Math.round(performance.now() - startedAtMs);
process.stdout.write(`${RULES.length} rules, ${tree.paths.length} files, ${count} findings, ${elapsedMs} ms\n`);
process.exitCode = count === 0 ? 0 : 1;
