import { TollgateError } from "@tollgate/kernel";

/**
 * Refuses what no field can hold, whichever it is: the character NUL and half of a surrogate pair, which a database
 * cannot store; a field named `__proto__`, which is none; and values that are nested so deep that code which follows them by calling itself (validation, the
 * writing of JSON) would run out of stack, now or whenever they are read again.
 *
 * JSON can write such characters only as escapes, and deep values only with many brackets. So for nearly every input a
 * look at its text is all that this costs.
 */
const DEPTH_MAX = 100;
/** Also matches what is fine, whole pairs and escaped letters of all kinds: what is there is looked at then. */
const SUSPECT = /\\u(?:00|d[89a-f])|__proto__/i;
/** A surrogate without its other half: with the `u` flag whole pairs are one character. */
const HALF_PAIR = /\p{Surrogate}/u;

interface Fault {
  readonly path: string;
  readonly message: string;
}

/** @throws TollgateError BAD_REQUEST `invalid_input` naming the field */
export function assertStorable(text: string, input: unknown): void {
  if (!SUSPECT.test(text) && !mayBeDeep(text)) return;
  const fault = findFault(input);
  if (fault === undefined) return;
  const { path, message } = fault;
  throw new TollgateError("BAD_REQUEST", `The input is not valid: ${path}: ${message}`, {
    reason: "invalid_input",
    issues: [fault],
  });
}

function mayBeDeep(text: string): boolean {
  if (text.length <= DEPTH_MAX) return false;
  let openings = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charCodeAt(index);
    // { and [
    if ((character === 123 || character === 91) && ++openings > DEPTH_MAX) return true;
  }
  return false;
}

interface Place {
  readonly value: unknown;
  readonly path: readonly string[];
}

/** Goes through an input without calling itself, as the input may be deeper than the stack. */
function findFault(input: unknown): Fault | undefined {
  const open: Place[] = [{ value: input, path: [] }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value, path } = place;
    if (typeof value === "string") {
      const message = faultOfText(value);
      if (message !== undefined) return { path: path.join("."), message };
    }
    if (typeof value !== "object" || value === null) continue;
    if (path.length > DEPTH_MAX) {
      return { path: path[0] ?? "", message: `Must not be nested deeper than ${DEPTH_MAX} levels` };
    }
    for (const [key, field] of Object.entries(value)) {
      if (key === "__proto__") return { path: [...path, key].join("."), message: "Must not be the name of a field" };
      const message = faultOfText(key);
      if (message !== undefined) return { path: path.join("."), message };
      open.push({ value: field, path: [...path, key] });
    }
  }
  return undefined;
}

function faultOfText(text: string): string | undefined {
  if (text.includes("\0")) return "Must not contain the character NUL";
  return HALF_PAIR.test(text) ? "Must not contain half of a surrogate pair" : undefined;
}
