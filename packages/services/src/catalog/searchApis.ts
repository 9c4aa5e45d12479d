import type { ApiSummary, searchApisInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, asc, desc, inArray, or, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { summaryColumns, toSummary, VISIBLE_STATUSES } from "./internal.ts";
import { rankSearch, searchWords } from "./rankSearch.ts";

/** Ranking reads this many APIs at most, the most popular ones that contain every word. */
const CANDIDATES_MAX = 1_000;
const WORDS_MAX = 10;

/** Published APIs that contain every word of the term, the best fit first; all of them for an empty term. Anyone may ask. */
export async function searchApis({
  ctx,
  input,
}: Verb<z.output<typeof searchApisInput>>): Promise<{ items: ApiSummary[] }> {
  const { apis } = schema;
  const words = searchWords(input.term).slice(0, WORDS_MAX);
  const contains = words.map((word) => {
    const pattern = `%${word.replace(/[\\%_]/g, "\\$&")}%`;
    return or(
      ...[apis.name, apis.displayName, apis.category, apis.description].map(
        (column) => sql`lower(${column}) like ${pattern}`,
      ),
    );
  });
  const { categories } = input;
  const rows = await ctx.db
    .select(summaryColumns)
    .from(apis)
    .where(
      and(
        inArray(apis.status, [...VISIBLE_STATUSES]),
        // No categories is no filter; an empty list of them is none at all.
        categories === undefined
          ? undefined
          : categories.length === 0
            ? sql`false`
            : inArray(apis.category, categories),
        ...contains,
      ),
    )
    .orderBy(desc(apis.popularity), asc(apis.name))
    .limit(CANDIDATES_MAX);
  return { items: rankSearch(words.join(" "), rows).slice(0, input.limit).map(toSummary) };
}
