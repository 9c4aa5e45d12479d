import type { SQL } from "drizzle-orm";
import { sql } from "drizzle-orm";
import type { BookCheck } from "./bookChecks.ts";

/**
 * Quotas and caps against the raw calls. Their months and days are those of the account's time zone, and a call may be made
 * in the instant in which one ends and another begins: it was admitted under the old one and began in the new one. So what
 * is used must lie between the calls that were surely of the period and those that may have been. Accounts that were changed
 * since a period began are left out of it, because the change may have been that of the time zone.
 */
const EDGE = sql.raw("interval '1 minute'");

interface Kind {
  readonly kind: string;
  /** Where in a budget's id the period is: the ids are in budgetIds.ts. */
  readonly periodPart: number;
  readonly length: "1 month" | "1 day";
}

/** The budgets of a kind whose periods have all of their raw calls, with the beginning and the end. */
function periods({ kind, periodPart, length }: Kind, from: string): SQL {
  const period = sql.raw(`split_part(b.id, ':', ${periodPart})${length === "1 month" ? " || '-01'" : ""}`);
  const step = sql.raw(`interval '${length}'`);
  return sql`
    select * from (
      select b.id, b.used, b.billing_account_id, a.created_at, a.updated_at,
        (${period})::timestamp at time zone a.time_zone as begins,
        ((${period})::timestamp + ${step}) at time zone a.time_zone as ends
      from budgets as b join billing_accounts as a on a.id = b.billing_account_id
      where b.kind = ${kind}
    ) as every_period
    where begins >= ${from}::timestamptz and (updated_at < begins or updated_at = created_at)`;
}

/** Quotas: what is used is how many calls came out that way. */
const compareCalls = (of: Kind, outcome: string, isOfBudget: SQL, from: string): SQL => sql`
  select id as subject, used as left_amount, case when used < sure then sure else possible end as right_amount from (
    select b.id, b.used, count(c.id) as possible,
      count(c.id) filter (where c.started_at >= b.begins + ${EDGE} and c.started_at < b.ends - ${EDGE}) as sure
    from (${periods(of, from)}) as b left join calls as c
      on ${isOfBudget} and c.outcome = ${outcome} and c.started_at >= b.begins - ${EDGE} and c.started_at < b.ends + ${EDGE}
    group by b.id, b.used
  ) as counted where used < sure or used > possible`;

/** Caps: calls that were under way when one was set are not part of it, so no more is used than was charged. */
const compareCharges = (of: Kind, calls: SQL, from: string): SQL => sql`
  select b.id as subject, b.used as left_amount, coalesce(sum(c.charged_micros), 0) as right_amount
  from (${periods(of, from)}) as b left join (${calls}) as c
    on c.owner = split_part(b.id, ':', 2) and c.started_at >= b.begins - ${EDGE} and c.started_at < b.ends + ${EDGE}
  group by b.id, b.used having b.used > coalesce(sum(c.charged_micros), 0)`;

const MONTHLY = { periodPart: 3, length: "1 month" } as const;
const isOfProject = sql`c.project_id = split_part(b.id, ':', 2)`;
const isOfAccount = sql`c.billing_account_id = b.billing_account_id`;

/** @param comparedFrom the first hour that has all of its raw calls */
export const usedChecks = (comparedFrom: (now: Date) => string) =>
  [
    {
      name: "tier_free_used",
      claim: "What is used of a month's free calls is the free calls of that month",
      differences: (now) => compareCalls({ kind: "tier_free", ...MONTHLY }, "free", isOfAccount, comparedFrom(now)),
    },
    {
      name: "endpoint_free_used",
      claim: "What is used of an endpoint's free quota is the calls of that month that it paid for",
      differences: (now) => {
        const isOfEndpoint = sql`${isOfAccount} and c.endpoint_id = split_part(b.id, ':', 3)`;
        const of = { kind: "endpoint_free", periodPart: 4, length: "1 month" } as const;
        return compareCalls(of, "quota", isOfEndpoint, comparedFrom(now));
      },
    },
    {
      name: "test_calls_used",
      claim: "What is used of a day's test calls is the test calls of that day",
      differences: (now) =>
        compareCalls({ kind: "test_calls", periodPart: 3, length: "1 day" }, "test", isOfProject, comparedFrom(now)),
    },
    {
      name: "project_cap_used",
      claim: "No more is used of a project's cap than its calls of that month were charged",
      differences: (now) => {
        const calls = sql`select project_id as owner, started_at, charged_micros from calls`;
        return compareCharges({ kind: "project_cap", ...MONTHLY }, calls, comparedFrom(now));
      },
    },
    {
      name: "key_cap_used",
      claim: "No more is used of a key's cap than the calls of its keys were charged that month",
      differences: (now) => {
        const calls = sql`
          select k.root_key_id as owner, c.started_at, c.charged_micros from calls as c join keys as k on k.id = c.key_id`;
        return compareCharges({ kind: "key_cap", ...MONTHLY }, calls, comparedFrom(now));
      },
    },
  ] as const satisfies readonly BookCheck[];
