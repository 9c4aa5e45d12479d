import type { Table } from "../world/table.ts";
import { invalidRequest } from "./apiError.ts";

export interface PageInput {
  readonly limit?: number | undefined;
  readonly starting_after?: string | undefined;
  readonly ending_before?: string | undefined;
}

export interface List<Row> {
  object: "list";
  data: Row[];
  has_more: boolean;
  url: string;
}

const LIMIT = 10;

/** A page of what matches, newest first, after or before an object. */
export function pageOf<Row extends { id: string }>(
  table: Table<Row>,
  input: PageInput,
  url: string,
  test: (row: Row) => boolean = () => true,
): List<Row> {
  return pageOfRows(table.filter(test).reverse(), input, url);
}

/** The same for rows that are in order already. */
export function pageOfRows<Row extends { id: string }>(rows: readonly Row[], input: PageInput, url: string): List<Row> {
  const limit = input.limit ?? LIMIT;
  const indexOf = (id: string, param: string): number => {
    const index = rows.findIndex((row) => row.id === id);
    if (index < 0) throw invalidRequest(`No such object: '${id}'`, { code: "resource_missing", param });
    return index;
  };
  if (input.ending_before !== undefined) {
    const before = rows.slice(0, indexOf(input.ending_before, "ending_before"));
    return { object: "list", data: before.slice(-limit), has_more: before.length > limit, url };
  }
  const start = input.starting_after === undefined ? 0 : indexOf(input.starting_after, "starting_after") + 1;
  const after = rows.slice(start);
  return { object: "list", data: after.slice(0, limit), has_more: after.length > limit, url };
}

/** A list inside an object, all of it. */
export const innerList = <Row>(data: Row[], url: string): List<Row> => ({ object: "list", data, has_more: false, url });
