/**
 * The reading half of superjson's value annotations: `meta.values` is a tree of dotted paths (a dot or a backslash in a
 * key is escaped by a backslash) whose leaves are the names of what the plain JSON there stands for. The root itself is
 * annotated by a bare leaf.
 */
const RESTORE: Readonly<Record<string, (plain: unknown) => unknown>> = {
  Date: (plain) => new Date(plain as string),
  bigint: (plain) => {
    // Long enough for any amount; turning a megabyte of digits into a number takes a fifth of a second.
    if (typeof plain !== "string" || !/^-?\d{1,40}$/.test(plain)) throw new TypeError("Not a bigint");
    return BigInt(plain);
  },
  undefined: () => undefined,
  number: (plain) => Number(plain),
};

/**
 * Puts dates, bigints, undefined and odd numbers in place of the plain JSON that stands for them, changing `json`.
 * @throws TypeError for any other kind of value and for a path that leads nowhere
 */
export function restoreValues(json: unknown, values: unknown): unknown {
  const root = { json };
  restoreAt(root, "json", values);
  return root.json;
}

function restoreAt(parent: object, key: string, annotation: unknown): void {
  // Own properties only: a path never reaches a prototype.
  if (!Object.hasOwn(parent, key)) throw new TypeError("An annotation leads nowhere");
  const record = parent as Record<string, unknown>;
  if (Array.isArray(annotation)) {
    const restore = annotation.length === 1 && typeof annotation[0] === "string" ? restorer(annotation[0]) : undefined;
    if (restore === undefined) throw new TypeError("Only dates and bigints are taken");
    record[key] = restore(record[key]);
    return;
  }
  if (typeof annotation !== "object" || annotation === null) throw new TypeError("Not superjson");
  for (const [path, inner] of Object.entries(annotation)) {
    const segments = parsePath(path);
    const last = segments.pop() as string;
    restoreAt(segments.reduce<object>(step, objectAt(record[key])), last, inner);
  }
}

const restorer = (name: string): ((plain: unknown) => unknown) | undefined =>
  Object.hasOwn(RESTORE, name) ? RESTORE[name] : undefined;

function step(parent: object, segment: string): object {
  return objectAt(Object.hasOwn(parent, segment) ? (parent as Record<string, unknown>)[segment] : undefined);
}

function objectAt(value: unknown): object {
  if (typeof value !== "object" || value === null) throw new TypeError("An annotation leads nowhere");
  return value;
}

/** Splits `a.b\\.c` into `a` and `b.c`. */
function parsePath(path: string): string[] {
  return path
    .replace(/\\(.)|\./g, (match, escaped: string | undefined) => (match === "." ? "\0" : (escaped ?? "")))
    .split("\0");
}
