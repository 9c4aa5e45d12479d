import superjson from "superjson";
import { restoreValues } from "./wireValues.ts";

/**
 * The transformer of the API: superjson's format, written and read faster. Answers are plain records with a few dates and
 * amounts, and for those one walk without bookkeeping is enough. Whatever else comes up (sets, maps, errors, an object
 * that appears twice, a key that is a prototype) is left to superjson itself, so any superjson client reads
 * the result. One thing is left out on purpose: superjson notes that two equal bigints are "the same object", which
 * means nothing and makes a page of amounts larger than its content.
 */
export const wireTransformer = {
  serialize: (value: unknown): SuperjsonPayload => {
    const walk: Walk = { seen: new Set(), isForeign: false, annotations: 0 };
    const json = toPlain(value, walk, "");
    if (walk.isForeign) return superjson.serialize(value) as SuperjsonPayload;
    if (walk.root !== undefined) return { json, meta: { values: [walk.root], v: 1 } };
    return walk.values === undefined ? { json } : { json, meta: { values: walk.values, v: 1 } };
  },
  /**
   * Takes dates, bigints, undefined and odd numbers, and nothing else that superjson can make: a request should not be
   * able to order a typed array of a billion elements, or an object that contains itself.
   * @throws TypeError for anything that is not a payload of those
   */
  deserialize: (payload: SuperjsonPayload): unknown => {
    if (typeof payload !== "object" || payload === null || Array.isArray(payload)) throw new TypeError("Not superjson");
    const { json, meta } = payload;
    return meta?.values === undefined ? json : restoreValues(json, meta.values);
  },
};

/** `json` is plain JSON; `meta.values` says which paths of it were dates, bigints or undefined. */
export interface SuperjsonPayload {
  readonly json: unknown;
  readonly meta?: { readonly values?: unknown; readonly referentialEqualities?: unknown; readonly v?: number };
}

interface Walk {
  readonly seen: Set<object>;
  /** Something that only superjson itself can write was met. */
  isForeign: boolean;
  /** How many values were annotated so far. */
  annotations: number;
  values?: Record<string, readonly [string]>;
  /** The annotation of a value that is not inside of anything. */
  root?: string;
}

function toPlain(value: unknown, walk: Walk, path: string): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return annotate(walk, path, "number", Object.is(value, -0) ? "-0" : String(value));
    case "undefined":
      return annotate(walk, path, "undefined", null);
    case "bigint":
      return annotate(walk, path, "bigint", value.toString());
    case "object":
      return value === null ? null : objectToPlain(value, walk, path);
    default:
      walk.isForeign = true;
      return null;
  }
}

function objectToPlain(value: object, walk: Walk, path: string): unknown {
  if (walk.seen.has(value)) walk.isForeign = true;
  if (walk.isForeign) return null;
  walk.seen.add(value);
  if (Array.isArray(value)) {
    const prefix = path === "" ? "" : `${path}.`;
    return value.map((item, index) => toPlain(item, walk, prefix + index));
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return recordToPlain(value, walk, path);
  if (value instanceof Date && prototype === Date.prototype && !Number.isNaN(value.getTime())) {
    return annotate(walk, path, "Date", value.toISOString());
  }
  walk.isForeign = true;
  return null;
}

function recordToPlain(record: object, walk: Walk, path: string): unknown {
  const prefix = path === "" ? "" : `${path}.`;
  const plain: Record<string, unknown> = {};
  for (const key of Object.keys(record)) {
    if (key === "__proto__") {
      walk.isForeign = true;
      return plain;
    }
    const annotationsBefore = walk.annotations;
    plain[key] = toPlain((record as Record<string, unknown>)[key], walk, prefix + key);
    // As a part of a path it needs escaping, vanishes, or is refused by superjson; as a name of plain JSON it is as good
    // as any: a document that somebody published may have a field named `constructor`.
    if (walk.annotations > annotationsBefore && isAwkward(key)) walk.isForeign = true;
    if (walk.isForeign) return plain;
  }
  return plain;
}

const isAwkward = (key: string): boolean =>
  key === "" || key.includes(".") || key.includes("\\") || key === "constructor" || key === "prototype";

function annotate(walk: Walk, path: string, kind: string, plain: unknown): unknown {
  walk.annotations += 1;
  if (path === "") {
    walk.root = kind;
  } else {
    walk.values ??= {};
    walk.values[path] = [kind];
  }
  return plain;
}
