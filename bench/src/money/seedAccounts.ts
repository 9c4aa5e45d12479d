import type { Database } from "@tollgate/db";
import { reserveConnection } from "../reserveConnection.ts";

export const PAD = 8;
export const accountAt = (index: number): string => `ba_bench${String(index).padStart(PAD, "0")}`;
export const idsOf = (accounts: number): string[] =>
  Array.from({ length: accounts }, (_, index) => accountAt(index + 1));

/** So many billing accounts with a project and a wallet with credit, made before `at`, in a few statements. */
export async function seedAccounts(database: Database, accounts: number, at: Date): Promise<void> {
  const micros = "1000000000000";
  await seeding(database, async (sql) => {
    await sql`
      insert into billing_accounts (id, name, tier_id, created_at, updated_at)
      select 'ba_bench' || lpad(n::text, ${PAD}, '0'), 'Bench', 'free', ${at}, ${at}
      from generate_series(1, ${accounts}::int) n`;
    await sql`
      insert into projects (id, name, billing_account_id, created_at, updated_at)
      select 'prj_bench' || lpad(n::text, ${PAD}, '0'), 'Bench', 'ba_bench' || lpad(n::text, ${PAD}, '0'), ${at}, ${at}
      from generate_series(1, ${accounts}::int) n`;
    await sql`
      insert into budgets (id, kind, billing_account_id, limit_amount, created_at, updated_at)
      select 'wallet:ba_bench' || lpad(n::text, ${PAD}, '0'), 'wallet', 'ba_bench' || lpad(n::text, ${PAD}, '0'),
        ${micros}::int8, ${at}, ${at}
      from generate_series(1, ${accounts}::int) n`;
    await sql`
      insert into ledger_transactions
        (id, billing_account_id, kind, idempotency_key, request_hash, reference, is_visible, actor, created_at)
      select 'txn_bench' || lpad(n::text, ${PAD}, '0'), 'ba_bench' || lpad(n::text, ${PAD}, '0'), 'credit', 'seed', '',
        'Bench', true, 'system:bench', ${at}
      from generate_series(1, ${accounts}::int) n`;
    await sql`
      insert into ledger_entries (transaction_id, line, account, amount_micros, created_at)
      select 'txn_bench' || lpad(n::text, ${PAD}, '0'), line,
        case line when 0 then 'wallet:ba_bench' || lpad(n::text, ${PAD}, '0') else 'funding:paid' end,
        case line when 0 then ${micros}::int8 else -${micros}::int8 end, ${at}
      from generate_series(1, ${accounts}::int) n, generate_series(0, 1) line`;
    await sql`
      insert into grants
        (id, billing_account_id, transaction_id, source, priority, amount_micros, remaining_micros, reference, created_at)
      select 'grt_bench' || lpad(n::text, ${PAD}, '0'), 'ba_bench' || lpad(n::text, ${PAD}, '0'),
        'txn_bench' || lpad(n::text, ${PAD}, '0'), 'paid', 40, ${micros}::int8, ${micros}::int8, 'Bench', ${at}
      from generate_series(1, ${accounts}::int) n`;
  });
}

/** What seeding fills. A table that is vacuumed while it is empty is taken for empty by every plan that is made then. */
const FILLED = [
  ...["billing_accounts", "projects", "budgets", "grants", "ledger_transactions", "ledger_entries"],
  ...["calls", "usage_hourly", "accruals"],
];

/** On a connection that may take as long as it likes; afterwards the planner knows what is there. */
export async function seeding(
  database: Database,
  work: (sql: Awaited<ReturnType<Database["sql"]["reserve"]>>) => Promise<void>,
): Promise<void> {
  const sql = await reserveConnection(database);
  try {
    await work(sql);
    for (const table of FILLED) await sql.unsafe(`vacuum analyze ${table}`);
  } finally {
    sql.release();
  }
}

/** Runs work for each item, so many side by side. */
export async function sideBySide<Item>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as Item, index);
  };
  await Promise.all(Array.from({ length: concurrency }, run));
}

export const chunksOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));

/** How long it takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}
