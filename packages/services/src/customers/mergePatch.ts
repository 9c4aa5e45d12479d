import { badRequest } from "@tollgate/kernel";

/** How deep a patch may be nested. Deeper is a mistake or an attack, and would end in a stack overflow. */
const DEPTH_MAX = 32;

/**
 * Merges a JSON merge patch into a value (RFC 7396, section 2): objects merge field by field, null takes a field out, and
 * everything else replaces what was there. Neither argument is changed.
 * @throws TollgateError BAD_REQUEST for a patch that is nested too deeply
 */
export function mergePatch(target: unknown, patch: unknown, depth = 0): unknown {
  if (!isObject(patch)) return patch;
  if (depth >= DEPTH_MAX) throw badRequest(`A patch may be nested ${DEPTH_MAX} levels deep`);
  const merged = new Map<string, unknown>(isObject(target) ? Object.entries(target) : []);
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) merged.delete(field);
    else merged.set(field, mergePatch(merged.get(field), value, depth + 1));
  }
  // Unlike an assignment, this makes a field called __proto__ a field like any other.
  return Object.fromEntries(merged);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
