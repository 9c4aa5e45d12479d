import { z } from "zod";
import type { ApiError } from "./apiError.ts";
import { invalidRequest } from "./apiError.ts";
import type { Form } from "./formBody.ts";

/** Parameters as Stripe takes them: everything arrives as text, an empty text unsets, unknown names are refused. */
export const text = z.string().max(5_000);
export const int = z
  .string()
  .regex(/^-?\d{1,15}$/, { error: "Invalid integer" })
  .transform(Number);
export const bool = z.enum(["true", "false"], { error: "Invalid boolean" }).transform((value) => value === "true");
/** Text that may be unset with an empty value. */
export const unsettable = text.transform((value) => (value === "" ? null : value));
export const metadata = z.union([z.record(z.string().max(40), z.string().max(500)), z.literal("")]);
export const currency = z
  .string()
  .regex(/^[A-Za-z]{3}$/, { error: "Invalid currency" })
  .transform((value) => value.toLowerCase());
export const expand = z.array(z.string()).optional();
export const timestamp = z.union([int, z.literal("now")]);
/** A filter by time: an instant, or `{gt, gte, lt, lte}`. */
export const range = z.union([
  int,
  z.strictObject({ gt: int.optional(), gte: int.optional(), lt: int.optional(), lte: int.optional() }),
]);
export type Range = z.output<typeof range>;
/** Details that are taken and kept as they are: addresses, shipping, options of payment methods that nothing here reads. */
export const anything = z.union([z.string(), z.array(z.unknown()), z.record(z.string(), z.unknown())]);

export const paging = {
  limit: int.pipe(z.int().min(1).max(100)).optional(),
  starting_after: text.optional(),
  ending_before: text.optional(),
  expand,
};

/** @throws ApiError that names the parameter */
export function parseParameters<Schema extends z.ZodType>(schema: Schema, form: Form): z.output<Schema> {
  const parsed = schema.safeParse(form);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw issue === undefined ? invalidRequest("Invalid request") : refusalOf(issue, form);
}

function refusalOf(issue: z.core.$ZodIssue, form: Form): ApiError {
  const param = nameOf(issue.path);
  if (issue.code === "unrecognized_keys") {
    const unknown = nameOf([...issue.path, issue.keys[0] ?? ""]);
    return invalidRequest(`Received unknown parameter: ${unknown}`, { code: "parameter_unknown", param: unknown });
  }
  if (valueAt(form, issue.path) === undefined) {
    return invalidRequest(`Missing required param: ${param}.`, { code: "parameter_missing", param });
  }
  if (issue.message === "Invalid integer") {
    return invalidRequest(`Invalid integer: ${String(valueAt(form, issue.path))}`, {
      code: "parameter_invalid_integer",
      param,
    });
  }
  return invalidRequest(`Invalid ${param}: ${issue.message}`, { param });
}

const nameOf = (path: readonly PropertyKey[]): string =>
  path.map((part, index) => (index === 0 ? String(part) : `[${String(part)}]`)).join("");

function valueAt(form: Form, path: readonly PropertyKey[]): unknown {
  let value: unknown = form;
  for (const part of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
  return value;
}

/** Merges metadata: an empty value removes its name, an empty parameter removes all. */
export function mergeMetadata(before: Record<string, string> | null, given: z.output<typeof metadata> | undefined) {
  if (given === undefined) return before ?? {};
  if (given === "") return {};
  const merged = { ...before, ...given };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ""));
}

/** The fields that were given; the others are left out, not undefined. */
export function given<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>;
  };
}

export const isInRange = (value: number, wanted: Range | undefined): boolean =>
  wanted === undefined ||
  (typeof wanted === "number"
    ? value === wanted
    : (wanted.gt === undefined || value > wanted.gt) &&
      (wanted.gte === undefined || value >= wanted.gte) &&
      (wanted.lt === undefined || value < wanted.lt) &&
      (wanted.lte === undefined || value <= wanted.lte));
