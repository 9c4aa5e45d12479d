import type { ApiSummary, searchApisInput } from "@tollgate/contracts";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { searchIndexOf } from "./searchIndex.ts";

/**
 * Published APIs that fit a term, the best fit first; all of them, the popular ones first, for an empty term. Words may be
 * unfinished, in the plural or mistyped. Those that have every word come alone; when none has, those that have some of
 * them. No categories are no filter, an empty list of them is none at all. Anyone may ask.
 */
export async function searchApis({
  ctx,
  input,
}: Verb<z.output<typeof searchApisInput>>): Promise<{ items: ApiSummary[] }> {
  const index = await searchIndexOf(ctx);
  const categories = input.categories === undefined ? undefined : new Set(input.categories);
  return { items: index.search(input.term, categories, input.limit) };
}
