import type { SourceTree } from "./sourceTree.ts";

/** One place that breaks a rule. */
export interface Finding {
  readonly path: string;
  /** From 1; absent when the whole file is meant. */
  readonly line?: number;
  readonly message: string;
}

/**
 * A rule over the source tree. Each stands in a file of its own, with a test that shows what it refuses: a rule that
 * cannot fail is not one.
 */
export interface Rule {
  readonly name: string;
  check(tree: SourceTree): Finding[] | Promise<Finding[]>;
}
