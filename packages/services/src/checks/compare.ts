import type { SQL } from "drizzle-orm";
import { sql } from "drizzle-orm";

/** Pairs two statements of (subject, amount); a subject that one of them lacks counts as zero there. */
export const compare = (left: SQL, right: SQL): SQL => sql`
  select subject, sum(l) as left_amount, sum(r) as right_amount from (
    select subject, amount::numeric as l, 0::numeric as r from (${left}) as one
    union all
    select subject, 0::numeric as l, amount::numeric as r from (${right}) as other
  ) as both_sides group by subject having sum(l) <> sum(r)`;
