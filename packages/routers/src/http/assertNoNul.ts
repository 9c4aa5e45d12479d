import { TollgateError } from "@tollgate/kernel";

/**
 * Refuses texts with the character NUL, which PostgreSQL cannot store, in whatever field they are. In JSON it can only be
 * written as an escape, so for nearly every input one search through its text is all that this costs.
 * @throws TollgateError BAD_REQUEST naming the field
 */
export function assertNoNul(text: string, input: unknown): void {
  if (!text.includes("\\u0000")) return;
  const path = findNul(input, "");
  if (path === undefined) return;
  const message = "Must not contain the character NUL";
  throw new TollgateError("BAD_REQUEST", `The input is not valid: ${path}: ${message}`, {
    reason: "invalid_input",
    issues: [{ path, message }],
  });
}

/** The dotted path of the first text or key with a NUL. */
function findNul(value: unknown, path: string): string | undefined {
  if (typeof value === "string") return value.includes("\0") ? path : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, field] of Object.entries(value)) {
    const fieldPath = path === "" ? key : `${path}.${key}`;
    if (key.includes("\0")) return path;
    const found = findNul(field, fieldPath);
    if (found !== undefined) return found;
  }
  return undefined;
}
