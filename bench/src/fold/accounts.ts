import { crc32 } from "node:zlib";
import type { Database } from "@tollgate/db";
import { newCallId, newId } from "@tollgate/kernel";
import { walletBudgetId } from "@tollgate/services/budgets";
import { callRecordSubject, fillCallBatch, formatFinishedCall } from "@tollgate/services/metering";

/** The partitions of a gateway's spool: calls of one account are in one of them. */
export const PARTITIONS = 16;
const PRICE_MICROS = 1_000;
const KEYS_PER_ACCOUNT = 1;
const ENDPOINTS = 2;
/** Enough for any number of calls; a lease that is not exhausted. */
const HELD_MICROS = 1_000_000_000_000_000;

/** Who calls: an account with a wallet that the gateway has leased from, a project and its keys. */
interface Account {
  readonly partition: number;
  readonly subjects: readonly string[];
  readonly draw: string;
}

/** A gateway's calls as it would have spooled them: records of many accounts, a stream a partition. */
export class CallSource {
  readonly runId = newId("gateway");
  readonly #accounts: readonly (readonly Account[])[];
  readonly #sequences: number[] = new Array<number>(PARTITIONS).fill(0);

  private constructor(accounts: readonly (readonly Account[])[], runId: string) {
    this.#accounts = accounts;
    this.runId = runId;
  }

  /** Makes accounts and puts their wallets and leases into the database. */
  static async create(database: Database, accountCount: number): Promise<CallSource> {
    const runId = newId("gateway");
    const holderId = `${runId}.1`;
    const endpoints = Array.from({ length: ENDPOINTS }, () => newId("endpoint"));
    const accounts: Account[][] = Array.from({ length: PARTITIONS }, () => []);
    const accountIds = Array.from({ length: accountCount }, () => newId("billingAccount"));
    for (const accountId of accountIds) {
      const projectId = newId("project");
      const keyIds = Array.from({ length: KEYS_PER_ACCOUNT }, () => newId("key"));
      const partition = crc32(accountId) % PARTITIONS;
      accounts[partition]?.push({
        partition,
        subjects: keyIds.flatMap((keyId) =>
          endpoints.map((endpointId) => callRecordSubject(holderId, accountId, projectId, keyId, endpointId, "live")),
        ),
        draw: `${walletBudgetId(accountId)}=${PRICE_MICROS}`,
      });
    }
    await leaseWallets(database, holderId, accountIds);
    return new CallSource(accounts, runId);
  }

  /** The partitions in which there is anybody. */
  get partitions(): readonly number[] {
    return this.#accounts.flatMap((accounts, partition) => (accounts.length === 0 ? [] : [partition]));
  }

  /** The next batch of a partition's stream: calls of its accounts at random, all charged, all now. */
  nextBatch(partition: number, calls: number, nowMs: number): { source: string; sequence: number; records: string } {
    const accounts = this.#accounts[partition] ?? [];
    const sequence = (this.#sequences[partition] ?? 0) + 1;
    const lines: string[] = [];
    for (let index = 0; index < calls; index += 1) {
      const account = pick(accounts);
      const subject = pick(account.subjects);
      const call = formatFinishedCall(subject, {
        id: newCallId(nowMs),
        outcome: "charged",
        status: 200,
        latencyMs: 3,
        units: 1,
        unitPriceMicros: PRICE_MICROS,
        chargedMicros: PRICE_MICROS,
        requestBytes: 0,
        responseBytes: 80,
        draws: account.draw,
      });
      lines.push(`${sequence + index} ${call}`);
    }
    this.#sequences[partition] = sequence + calls - 1;
    const { text: records, calls: joined } = fillCallBatch(lines);
    if (joined < calls) throw new RangeError(`${joined} of ${calls} calls make a full batch`);
    return { source: `${this.runId}/${partition}`, sequence, records };
  }
}

function pick<Item>(items: readonly Item[]): Item {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new RangeError("There is nothing to pick from");
  return item;
}

async function leaseWallets(database: Database, holderId: string, accountIds: readonly string[]): Promise<void> {
  const { sql } = database;
  const budgetIds = accountIds.map(walletBudgetId);
  await sql`insert into budget_holders (id, created_at, expires_at) values (${holderId}, now(), now() + interval '1 day')`;
  await sql`
    insert into budgets (id, kind, billing_account_id, limit_amount, held, created_at, updated_at)
    select budget, 'wallet', account, ${HELD_MICROS}, ${HELD_MICROS}, now(), now()
    from unnest(${budgetIds}::text[], ${[...accountIds]}::text[]) as d (budget, account)`;
  await sql`
    insert into budget_leases (budget_id, holder_id, granted, settled, returned, updated_at)
    select budget, ${holderId}, ${HELD_MICROS}, 0, 0, now() from unnest(${budgetIds}::text[]) as d (budget)`;
}

/** @throws Error when the books do not say what was folded: then the numbers would be of something else */
export async function assertFolded(database: Database, source: CallSource, calls: number): Promise<void> {
  const [row] = await database.sql`
    select (select count(*) from calls where source like ${`${source.runId}/%`}) as kept,
           (select coalesce(sum(b.used), 0) from budgets b join budget_leases l on l.budget_id = b.id
            where l.holder_id = ${`${source.runId}.1`}) as used`;
  const kept = Number(row?.["kept"]);
  const used = Number(row?.["used"]);
  if (kept !== calls || used !== calls * PRICE_MICROS) {
    throw new Error(`VOID: ${calls} calls were folded, ${kept} are kept and ${used} micros are used`);
  }
}
