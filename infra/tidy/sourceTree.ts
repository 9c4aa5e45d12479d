import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseAst } from "rolldown/parseAst";
import type { SyntaxNode } from "./syntax.ts";

/** The files of a checkout, by their path from its root with forward slashes. Texts and syntax trees are read once. */
export class SourceTree {
  readonly paths: readonly string[];
  readonly #read: (path: string) => string;
  readonly #known: ReadonlySet<string>;
  readonly #texts = new Map<string, string>();
  readonly #programs = new Map<string, SyntaxNode>();

  constructor(paths: readonly string[], read: (path: string) => string) {
    this.paths = [...paths].sort();
    this.#read = read;
    this.#known = new Set(paths);
  }

  has(file: string): boolean {
    return this.#known.has(file);
  }

  /** Whether a file or a directory with files in it is there. */
  hasAny(place: string): boolean {
    return this.paths.some((file) => file === place || file.startsWith(`${place}/`));
  }

  matching(pattern: RegExp): string[] {
    return this.paths.filter((file) => pattern.test(file));
  }

  text(file: string): string {
    const known = this.#texts.get(file);
    if (known !== undefined) return known;
    const text = this.#read(file);
    this.#texts.set(file, text);
    return text;
  }

  lines(file: string): string[] {
    return this.text(file).split("\n");
  }

  /** The syntax tree of a TypeScript file. @throws Error that names the file when it does not parse */
  program(file: string): SyntaxNode {
    const known = this.#programs.get(file);
    if (known !== undefined) return known;
    try {
      const program = parseAst(this.text(file), { lang: "ts" }) as unknown as SyntaxNode;
      this.#programs.set(file, program);
      return program;
    } catch (error) {
      throw new Error(`${file} does not parse`, { cause: error });
    }
  }

  /** The line of a position in a file, from 1. */
  lineAt(file: string, offset: number): number {
    return this.text(file).slice(0, offset).split("\n").length;
  }
}

/** The tree of a checkout: what git has or would take, so that builds, data and caches are left out. */
export function readSourceTree(root: string): SourceTree {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  // A file that was deleted and not yet committed is still listed.
  const paths = [...new Set(listed.split("\0"))].filter((file) => file !== "" && existsSync(path.join(root, file)));
  return new SourceTree(paths, (file) => readFileSync(path.join(root, file), "utf8"));
}

/** A tree out of texts, for the rules' own tests. */
export function treeOf(files: Readonly<Record<string, string>>): SourceTree {
  return new SourceTree(Object.keys(files), (file) => {
    const text = files[file];
    if (text === undefined) throw new Error(`${file} is not in the tree`);
    return text;
  });
}
