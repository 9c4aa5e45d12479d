import type { Micros } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import { bigint, text, timestamp } from "drizzle-orm/pg-core";

/** A prefixed random id. */
export const id = (name = "id") => text(name);
/** An instant, to the millisecond: what JavaScript can hold without losing anything. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: "date" });
/**
 * When the database took the row, in microseconds and by its own clock: the clocks of the processes that write are not
 * alike, and what came after something else that it depends on must come after it in this order.
 */
export const appendedAt = () =>
  timestamp("appended_at", { withTimezone: true, precision: 6, mode: "string" })
    .notNull()
    .default(sql`clock_timestamp()`);
export const createdAt = () => instant("created_at").notNull();
export const updatedAt = () => instant("updated_at").notNull();
/** An amount of money in micros. */
export const micros = (name: string) => bigint(name, { mode: "bigint" }).$type<Micros>();
/** A whole number that may exceed what a JavaScript number holds. */
export const int8 = (name: string) => bigint(name, { mode: "bigint" });
/** A count that stays far below 2^53. */
export const count = (name: string) => bigint(name, { mode: "number" });
/** `column in ('a', 'b')`, for CHECK constraints in place of enum types. */
export const oneOf = (column: string, values: readonly string[]) =>
  sql.raw(`${column} in (${values.map((value) => `'${value}'`).join(", ")})`);
