import { z } from "zod";
import type { SourceTree } from "./sourceTree.ts";

const manifestSchema = z.object({
  name: z.string(),
  exports: z.record(z.string(), z.string()).default({}),
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
});

export const SCOPE = "@tollgate/";

/** A workspace of the house. */
export interface Workspace {
  /** From the root: `packages/db`. */
  readonly dir: string;
  /** `@tollgate/db`. */
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

export function readWorkspaces(tree: SourceTree): Workspace[] {
  return tree.matching(/^(?:(?:apps|packages|examples)\/[^/]+|infra\/[^/]+|bench)\/package\.json$/).map((file) => {
    const manifest = manifestSchema.parse(JSON.parse(tree.text(file)));
    return {
      dir: file.slice(0, -"/package.json".length),
      name: manifest.name,
      exports: manifest.exports,
      dependencies: Object.keys(manifest.dependencies),
      devDependencies: Object.keys(manifest.devDependencies),
    };
  });
}

/** The workspace that a file belongs to; undefined for files of the root. */
export function workspaceOf(workspaces: readonly Workspace[], file: string): Workspace | undefined {
  return workspaces.find(({ dir }) => file.startsWith(`${dir}/`));
}

/** Tests and what only they use: `*.test.ts` and whatever is in a directory called `test`, `testing` or `fixtures`. */
export const isTestFile = (file: string): boolean => /\.test\.ts$|\/(?:test|testing|fixtures)\//.test(file);
