/** A node of an ESTree syntax tree, as far as the rules look at it. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** A node and everything below it, in the order of the text. */
export function walk(node: SyntaxNode): SyntaxNode[] {
  const nodes: SyntaxNode[] = [];
  const waiting = [node];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    nodes.push(next);
    const children: SyntaxNode[] = [];
    for (const field in next) {
      const value = next[field];
      if (Array.isArray(value)) {
        for (const child of value) if (isNode(child)) children.push(child);
      } else if (isNode(value)) {
        children.push(value);
      }
    }
    waiting.push(...children.reverse());
  }
  return nodes;
}

/** The nodes in a field that holds a list. */
export function childrenOf(node: SyntaxNode, field: string): SyntaxNode[] {
  const value = node[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function childOf(node: SyntaxNode, field: string): SyntaxNode | undefined {
  const value = node[field];
  return isNode(value) ? value : undefined;
}

/** The name of an identifier, or the text of a string literal. */
export function nameOf(node: SyntaxNode | undefined): string | undefined {
  if (node?.type === "Identifier" && typeof node["name"] === "string") return node["name"];
  return textOf(node);
}

/** The text of a string literal. */
export function textOf(node: SyntaxNode | undefined): string | undefined {
  return node?.type === "Literal" && typeof node["value"] === "string" ? node["value"] : undefined;
}

/** One `import` or `export … from`, static or dynamic. */
export interface ModuleLink {
  readonly specifier: string;
  /** The name here (for an export, the name that it has outside) → the name in the other module; `*` for a namespace. */
  readonly names: ReadonlyMap<string, string>;
  readonly isTypeOnly: boolean;
  readonly isExport: boolean;
  /** `export * from`. */
  readonly isAll: boolean;
  readonly start: number;
}

/** Every link of a module to another. */
export function moduleLinks(program: SyntaxNode): ModuleLink[] {
  const links: ModuleLink[] = [];
  for (const node of walk(program)) {
    const specifier = nameOf(childOf(node, "source"));
    if (specifier === undefined) continue;
    const isExport = node.type.startsWith("Export");
    links.push({
      specifier,
      names: new Map(childrenOf(node, "specifiers").flatMap((part) => linkedName(part, isExport))),
      isTypeOnly: node["importKind"] === "type" || node["exportKind"] === "type",
      isExport,
      isAll: node.type === "ExportAllDeclaration" && childOf(node, "exported") === undefined,
      start: node.start,
    });
  }
  return links;
}

function linkedName(part: SyntaxNode, isExport: boolean): [string, string][] {
  const local = nameOf(childOf(part, "local"));
  if (local === undefined) return [];
  if (isExport) return [[nameOf(childOf(part, "exported")) ?? local, local]];
  return [[local, nameOf(childOf(part, "imported")) ?? "*"]];
}
