import type { SqlTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import type { BudgetKind } from "./leaseBudgets.ts";

/** Calls that a project's test keys may make in a day. */
export const TEST_CALLS_PER_DAY = 1_000n;

export interface LimitQuestion {
  readonly budgetId: string;
  readonly kind: BudgetKind;
  readonly billingAccountId: string;
}

/**
 * Looks up the limits of quotas and caps where they are kept (tiers, endpoints, projects, keys) and writes them to their
 * budgets, creating those that are not there yet. A cap that was removed leaves no limit to write, and its budget stays.
 * @returns the budgets as they stand now
 */
export async function resolveLimits(
  sql: SqlTransaction,
  clock: Clock,
  questions: readonly LimitQuestion[],
): Promise<Record<string, unknown>[]> {
  const limits = new Map<string, bigint>();
  const answers = await Promise.all(
    questions.map(async (question) => ({ question, limit: await limitOf(sql, question) })),
  );
  for (const { question, limit } of answers) if (limit !== undefined) limits.set(question.budgetId, limit);
  const known = questions.filter((question) => limits.has(question.budgetId));
  if (known.length === 0) return [];
  const now = clock.now();
  return sql`
    insert into budgets (id, kind, billing_account_id, limit_amount, overdraft, used, held, created_at, updated_at)
    select id, kind, account, lim, 0, 0, 0, ${now}, ${now}
    from unnest(${known.map((question) => question.budgetId)}::text[],
                ${known.map((question) => question.kind)}::text[],
                ${known.map((question) => question.billingAccountId)}::text[],
                ${known.map((question) => String(limits.get(question.budgetId)))}::int8[]) as q (id, kind, account, lim)
    on conflict (id) do update set limit_amount = excluded.limit_amount, updated_at = excluded.updated_at
    returning id, limit_amount, overdraft, used, held`;
}

async function limitOf(sql: SqlTransaction, question: LimitQuestion): Promise<bigint | undefined> {
  const [, subject = "", detail = ""] = question.budgetId.split(":");
  switch (question.kind) {
    case "wallet":
      return undefined;
    case "test_calls":
      return TEST_CALLS_PER_DAY;
    case "tier_free":
      return first(
        await sql`select t.free_calls_per_month as n from billing_accounts b join tiers t on t.id = b.tier_id
                  where b.id = ${subject}`,
      );
    case "endpoint_free":
      return first(await sql`select free_per_month as n from endpoints where id = ${detail}`);
    case "project_cap":
      return first(await sql`select monthly_spend_cap_micros as n from projects where id = ${subject}`);
    case "key_cap":
      // The newest key of a rotation chain says what the cap of the chain is.
      return first(
        await sql`select monthly_spend_cap_micros as n from keys where root_key_id = ${subject}
                  order by created_at desc, id desc limit 1`,
      );
  }
}

function first(rows: readonly Record<string, unknown>[]): bigint | undefined {
  const value = rows[0]?.["n"];
  return value === undefined || value === null ? undefined : BigInt(String(value));
}
