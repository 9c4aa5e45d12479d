import type { IdKind, Micros } from "@tollgate/kernel";
import { idPattern, toMicros } from "@tollgate/kernel";
import { z } from "zod";

/** Fields that many procedures share. Errors are written for the caller. */

/** A prefixed id of one kind. */
export const idSchema = (kind: IdKind) =>
  z.string().regex(idPattern(kind), { error: `Must be an id of the form ${idPattern(kind).source.slice(1, 5)}…` });

const DECIMAL = /^-?\d{1,19}$/;

/** Micros of an input: a bigint from the typed client, a decimal string from REST. */
export const microsInput = z
  .union([z.bigint(), z.string().regex(DECIMAL)], { error: "Must be an integer number of micros, as a decimal string" })
  .transform((value, context): Micros => {
    try {
      return toMicros(BigInt(value));
    } catch {
      context.addIssue({ code: "custom", message: "Must fit a signed 64-bit integer" });
      return z.NEVER;
    }
  });

/** Micros above zero. */
export const positiveMicrosInput = microsInput.refine((value) => value > 0n, { error: "Must be more than zero" });

/** Micros of zero or more. */
export const nonNegativeMicrosInput = microsInput.refine((value) => value >= 0n, { error: "Must not be negative" });

/** Micros of an answer. REST writes it as a decimal string. */
export const microsOutput = z.custom<Micros>((value) => typeof value === "bigint").meta({ id: "Micros" });

const INSTANT_EARLIEST = new Date("1970-01-01T00:00:00Z");
const INSTANT_LATEST = new Date("9999-12-31T23:59:59.999Z");

/** An instant of an input: a Date from the typed client, ISO 8601 text from REST. Years that a database cannot hold are refused. */
export const instantInput = z
  .union([z.date(), z.iso.datetime({ offset: true }), z.iso.date()], {
    error: "Must be an instant in ISO 8601, for example 2027-01-31T12:00:00Z",
  })
  .transform((value) => new Date(value))
  .refine((value) => value >= INSTANT_EARLIEST && value <= INSTANT_LATEST, {
    error: "Must be between the years 1970 and 9999",
  });

/** An address as people type it, trimmed and lower-cased. */
export const emailInput = z
  .string()
  .trim()
  .toLowerCase()
  .max(254, { error: "Must be at most 254 characters" })
  .pipe(z.email({ error: "Must be an email address" }));

export const pageInput = z.object({
  limit: z.int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});

/** A page of a list: `nextCursor` is null on the last one. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });
export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** A name that people give to things. */
export const nameInput = z.string().trim().min(1, { error: "Must not be empty" }).max(100);

/** The answer of a mutation that has nothing to tell. */
export const doneDto = z.object({ ok: z.literal(true) });
export type Done = z.infer<typeof doneDto>;

/** With the input of a subscription: the id of the last message that the client has, which streams set by themselves. */
export const lastEventId = z.string().max(200).optional();
