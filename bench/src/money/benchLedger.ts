import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { newId, TollgateError, toMicros } from "@tollgate/kernel";
import { creditWallet } from "@tollgate/services/balance";
import { checkBooks } from "@tollgate/services/checks";
import { contextOf } from "../identity/identityContext.ts";
import { createOwnDatabase } from "../identity/seedPeople.ts";
import type { BenchPlace } from "../place.ts";
import { median, times, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { accountAt, seedAccounts, sideBySide, timed } from "./seedAccounts.ts";

const ACCOUNTS = 1_000;
const CONNECTIONS = 8;
const ROUNDS = 3;
const RATIO_MIN = 0.5;
const MICROS = toMicros(1_000_000n);

interface Pace {
  readonly name: string;
  readonly product: number;
  readonly byHand: number;
  readonly ratio: number;
}

/** A movement of money as the product makes it, beside the same rows written by hand; in turns, so that both meet the same machine. */
export async function benchLedger(place: BenchPlace, servers: RunningServers): Promise<Section> {
  const url = await createOwnDatabase(servers.databaseUrl, "bench_ledger");
  const database = createDatabase({ url, applicationName: "bench", connectionsMax: CONNECTIONS });
  try {
    await seedAccounts(database, ACCOUNTS, new Date());
    await place.quiet();
    const count = place.durations.ledgerTransactions;
    const many = await measure(database, `${whole(ACCOUNTS)} accounts`, count, (n) => accountAt((n % ACCOUNTS) + 1));
    const hot = await measure(database, "one hot account", Math.ceil(count / 10), () => accountAt(1));
    const paces = [many, hot];
    const broken = (await checkBooks({ ctx: contextOf(database, SYSTEM) })).filter(({ ok }) => !ok);
    return {
      title: "Ledger: transactions",
      about: `Credits of a wallet, ${CONNECTIONS} connections, every transaction SERIALIZABLE and repeated when it must be: as the product makes them (\`creditWallet\`: checked, idempotent, audited, announced), and the same rows written by hand with postgres.js, one statement a table. In turns, ${ROUNDS} times; the ratio is the median of neighbouring runs.`,
      columns: ["", "product/s", "by hand/s", "ratio"],
      rows: paces.map(({ name, product, byHand, ratio }) => [name, whole(product), whole(byHand), times(ratio)]),
      goals: [
        ...paces.map(
          ({ name, ratio }): Goal => ({
            what: name,
            goal: `≥ ${times(RATIO_MIN)}`,
            seen: times(ratio),
            isReached: ratio >= RATIO_MIN,
          }),
        ),
        {
          what: "the books balance afterwards",
          goal: "yes",
          seen: broken.length === 0 ? "yes" : broken.map(({ check }) => check).join(", "),
          isReached: broken.length === 0,
        },
      ],
      notes: [],
    };
  } finally {
    await database.close();
  }
}

const SYSTEM = { kind: "system", task: "bench" } as const;

async function measure(
  database: Database,
  name: string,
  count: number,
  accountOf: (index: number) => string,
): Promise<Pace> {
  const accounts = Array.from({ length: count }, (_, index) => accountOf(index));
  const product = () => sideBySide(accounts, CONNECTIONS, (account) => creditByProduct(database, account));
  const byHand = () => sideBySide(accounts, CONNECTIONS, (account) => creditByHand(database, account));
  // Once for each before anything counts.
  await sideBySide(accounts.slice(0, CONNECTIONS * 20), CONNECTIONS, (account) => creditByProduct(database, account));
  await sideBySide(accounts.slice(0, CONNECTIONS * 20), CONNECTIONS, (account) => creditByHand(database, account));
  const rounds: { product: number; byHand: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({
      product: (count / (await timed(product))) * 1_000,
      byHand: (count / (await timed(byHand))) * 1_000,
    });
  }
  return {
    name,
    product: median(rounds.map((round) => round.product)),
    byHand: median(rounds.map((round) => round.byHand)),
    ratio: median(rounds.map((round) => round.product / round.byHand)),
  };
}

/** As a caller that does what the error says: who finds too many others at the wallet asks again. */
async function creditByProduct(database: Database, billingAccountId: string): Promise<void> {
  const credit = {
    billingAccountId,
    micros: MICROS,
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Bench",
    visible: true,
  } as const;
  for (;;) {
    try {
      await creditWallet(contextOf(database, SYSTEM), credit);
      return;
    } catch (error) {
      if (!(error instanceof TollgateError) || error.reason !== "write_conflict") throw error;
    }
  }
}

/** The rows that the product writes, without what it checks. */
async function creditByHand(database: Database, billingAccountId: string): Promise<void> {
  const micros = MICROS.toString();
  for (;;) {
    try {
      await database.sql.begin("isolation level serializable", async (sql) => {
        const [transactionId, grantId, at] = [newId("transaction"), newId("grant"), new Date()];
        await sql`
          insert into ledger_transactions
            (id, billing_account_id, kind, idempotency_key, request_hash, reference, is_visible, actor, created_at)
          values (${transactionId}, ${billingAccountId}, 'credit', ${transactionId}, '', 'Bench', true, 'system:bench', ${at})`;
        await sql`
          update budgets set limit_amount = limit_amount + ${micros}::int8, updated_at = ${at}
          where id = ${`wallet:${billingAccountId}`}`;
        await sql`
          insert into ledger_entries (transaction_id, line, account, amount_micros, created_at)
          values (${transactionId}, 0, ${`wallet:${billingAccountId}`}, ${micros}::int8, ${at}),
            (${transactionId}, 1, 'funding:paid', -${micros}::int8, ${at})`;
        await sql`
          insert into grants (id, billing_account_id, transaction_id, source, priority, amount_micros, remaining_micros,
            reference, created_at)
          values (${grantId}, ${billingAccountId}, ${transactionId}, 'paid', 40, ${micros}::int8, ${micros}::int8, 'Bench', ${at})`;
        await sql`
          insert into audit_log (id, actor, action, subject, after, request_id, created_at)
          values (${newId("audit")}, 'system:bench', 'balance.credit', ${billingAccountId},
            ${sql.json({ transactionId, micros, source: "paid", reference: "Bench" })}, 'req_bench', ${at})`;
        await sql`
          insert into outbox (id, kind, name, version, payload, actor, request_id, created_at, ordinal)
          values (${newId("event")}, 'event', 'balance.credited', 1,
            ${sql.json({ billingAccountId, transactionId, grantId, source: "paid", micros })}, 'system:bench', 'req_bench', ${at}, 0)`;
      });
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "40001") throw error;
    }
  }
}
