import path from "node:path";
import type { SourceTree } from "./sourceTree.ts";
import type { SyntaxNode } from "./syntax.ts";
import { childOf, childrenOf, moduleLinks, nameOf, walk } from "./syntax.ts";

/** A function or constant at the top of a module. */
interface Definition {
  readonly file: string;
  readonly name: string;
  readonly node: SyntaxNode;
}

/** What the names at the top of a module stand for. */
interface ModuleNames {
  readonly definitions: ReadonlyMap<string, SyntaxNode>;
  readonly imports: ReadonlyMap<string, { readonly specifier: string; readonly name: string }>;
  /** `export * from` and `export { a as b } from`; `names` is undefined for the former. */
  readonly exportsFrom: readonly { readonly specifier: string; readonly names?: ReadonlyMap<string, string> }[];
}

/**
 * Which functions a function can reach inside one tree of sources. A mention of a name counts as a call, so a function
 * that is handed over (`withTransaction(ctx, mailCode)`) is reached too. Methods of objects are not followed.
 */
export class CallGraph {
  readonly #tree: SourceTree;
  readonly #modules = new Map<string, ModuleNames>();

  constructor(tree: SourceTree) {
    this.#tree = tree;
  }

  /**
   * Everything that can be reached from a function: `path#name` of functions of this tree, and `package#name` of what is
   * imported from packages. Undefined if the module has no such function, also not through `export … from`.
   */
  reach(file: string, name: string): ReadonlySet<string> | undefined {
    const start = this.#resolve(file, name);
    if (start === undefined) return undefined;
    const reached = new Set<string>();
    const waiting = [start];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const id = `${next.file}#${next.name}`;
      if (reached.has(id)) continue;
      reached.add(id);
      for (const node of walk(next.node)) {
        const mentioned = node.type === "Identifier" ? nameOf(node) : undefined;
        if (mentioned === undefined) continue;
        const target = this.#mentioned(next.file, mentioned);
        if (typeof target === "string") reached.add(target);
        else if (target !== undefined) waiting.push(target);
      }
    }
    return reached;
  }

  /** What a name in a module stands for: a function of this tree, or `package#name`. */
  #mentioned(file: string, name: string): Definition | string | undefined {
    const module = this.#module(file);
    const node = module.definitions.get(name);
    if (node !== undefined) return { file, name, node };
    const imported = module.imports.get(name);
    if (imported === undefined) return undefined;
    if (!imported.specifier.startsWith(".")) return `${imported.specifier}#${imported.name}`;
    return this.#resolve(joinSpecifier(file, imported.specifier), imported.name);
  }

  #resolve(file: string, name: string): Definition | undefined {
    if (!this.#tree.has(file)) return undefined;
    const module = this.#module(file);
    const node = module.definitions.get(name);
    if (node !== undefined) return { file, name, node };
    for (const { specifier, names } of module.exportsFrom) {
      const original = names === undefined ? name : names.get(name);
      const found = original === undefined ? undefined : this.#resolve(joinSpecifier(file, specifier), original);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #module(file: string): ModuleNames {
    const known = this.#modules.get(file);
    if (known !== undefined) return known;
    const names = readModule(this.#tree.program(file));
    this.#modules.set(file, names);
    return names;
  }
}

const joinSpecifier = (file: string, specifier: string): string => path.posix.join(path.posix.dirname(file), specifier);

function readModule(program: SyntaxNode): ModuleNames {
  const definitions = new Map<string, SyntaxNode>();
  for (const statement of childrenOf(program, "body")) {
    const declaration = childOf(statement, "declaration") ?? statement;
    const name = nameOf(childOf(declaration, "id"));
    if (name !== undefined) definitions.set(name, declaration);
    for (const declarator of childrenOf(declaration, "declarations")) {
      const constant = nameOf(childOf(declarator, "id"));
      if (constant !== undefined) definitions.set(constant, declarator);
    }
  }
  const imports = new Map<string, { specifier: string; name: string }>();
  const exportsFrom: { specifier: string; names?: ReadonlyMap<string, string> }[] = [];
  for (const { specifier, names, isExport, isTypeOnly, isAll } of moduleLinks(program)) {
    if (isTypeOnly) continue;
    if (isAll) exportsFrom.push({ specifier });
    else if (isExport) exportsFrom.push({ specifier, names });
    else for (const [local, name] of names) imports.set(local, { specifier, name });
  }
  return { definitions, imports, exportsFrom };
}
