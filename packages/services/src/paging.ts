import { badRequest } from "@tollgate/kernel";
import type { Column, SQL } from "drizzle-orm";
import { and, desc, lt, lte, or } from "drizzle-orm";

/**
 * Cursor paging by (createdAt, id), newest first: rows with equal times are neither lost nor shown twice. A cursor is
 * opaque to clients.
 */
export interface Position {
  readonly createdAt: Date;
  readonly id: string;
}

export function encodeCursor(position: Position): string {
  return Buffer.from(`${position.createdAt.getTime()}:${position.id}`).toString("base64url");
}

/** @throws TollgateError BAD_REQUEST for a cursor that this system did not make */
export function decodeCursor(cursor: string): Position {
  // Fourteen digits of milliseconds reach to the year 5138; a database cannot hold all that a Date can.
  const match = /^(\d{1,14}):([0-9A-Za-z_]{1,64})$/.exec(Buffer.from(cursor, "base64url").toString("utf8"));
  if (match?.[1] === undefined || match[2] === undefined) {
    throw badRequest("The cursor is not one of ours", { issues: [{ path: "cursor", message: "Not a cursor" }] });
  }
  return { createdAt: new Date(Number(match[1])), id: match[2] };
}

/**
 * The condition for rows after a cursor; undefined on the first page. The bound on the time stands by itself, because an
 * index is entered by it: of an alternative alone the rows before would all be read and thrown away.
 */
export function afterCursor(createdAt: Column, id: Column, cursor: string | undefined): SQL | undefined {
  if (cursor === undefined) return undefined;
  const position = decodeCursor(cursor);
  return and(lte(createdAt, position.createdAt), or(lt(createdAt, position.createdAt), lt(id, position.id)));
}

export const newestFirst = (createdAt: Column, id: Column): [SQL, SQL] => [desc(createdAt), desc(id)];

/** Makes a page of `limit + 1` rows: the extra row says whether there is another page. */
export function toPage<Row extends Position, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(last) : null,
  };
}
