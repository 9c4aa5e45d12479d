import { createDatabase, withTransaction } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { newId, TollgateError } from "@tollgate/kernel";
import { FaultProxy, testSize } from "@tollgate/testing";
import type { SQL } from "drizzle-orm";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { checkBooks } from "../checks/index.ts";
import type { ServiceContext } from "../context.ts";
import {
  creditWallet,
  decrementBalance,
  readBalance,
  reverseTransaction,
  settleAccount,
  transferBalance,
} from "./index.ts";

/**
 * Random movements of money by eight connections at once, through a proxy that injects serialization failures and
 * drops connections before and after COMMIT. The model is a number for each account and the outcome of each key.
 */
/** More are run with `LEDGER_OPERATIONS=10000 npx vitest run ledgerFaults`. */
const OPERATIONS = testSize("LEDGER_OPERATIONS", 150);
/** A second for each is many times what it takes; the rest is for the books at the end. */
const TIMEOUT_MS = 300_000 + OPERATIONS * 1_000;
const CONNECTIONS = 8;
const PROGRESS_OPERATIONS = 500;
const ACCOUNTS = 12;
const HOUR_MS = 3_600_000;

let fixture: ServiceFixture;
let proxy: FaultProxy;
beforeAll(async () => {
  fixture = await createServiceFixture();
  proxy = await FaultProxy.start(fixture.databaseUrl);
});
afterAll(async () => {
  await proxy.stop();
  await fixture.close();
});

/** Deterministic: a failure comes back with its seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Until there is an answer: what a caller with an idempotency key does when it has not heard. */
async function insist<Result>(work: () => Promise<Result>): Promise<Result | TollgateError> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TollgateError) || attempt > 50) throw error;
      if (error.code !== "UNAVAILABLE") return error;
    }
  }
}

test("random movements under faults happen once each, and the books balance", { timeout: TIMEOUT_MS }, async () => {
  const database = createDatabase({ url: proxy.url, connectionsMax: CONNECTIONS, applicationName: "ledger-faults" });
  const through = (ctx: ServiceContext): ServiceContext => ({ ...ctx, database, db: database.db });
  const accounts = await Promise.all(
    Array.from({ length: ACCOUNTS }, async () => {
      const project = await insertProject(fixture);
      return { billingAccountId: project.billingAccountId, projectId: project.id, balance: 0n };
    }),
  );
  const reversible: { account: (typeof accounts)[number]; transactionId: string; amount: bigint }[] = [];
  const random = randomOf(20_261_124);
  const pick = () => accounts[random(ACCOUNTS)] ?? accounts[0];
  let done = 0;

  type Account = (typeof accounts)[number];
  interface Turn {
    readonly account: Account;
    readonly other: Account;
    readonly amount: bigint;
    readonly base: { micros: Micros; reference: string; visible: boolean; idempotencyKey: string };
    readonly operator: ServiceContext;
    readonly system: ServiceContext;
  }
  const expectRefusal = (error: TollgateError): void => expect(error.reason).toBe("insufficient_credit");

  async function credit({ account, amount, base, system }: Turn): Promise<void> {
    const { billingAccountId } = account;
    const expiresAt = random(2) === 0 ? undefined : new Date(fixture.clock.nowMs() + 1_000 * HOUR_MS);
    const source = (["paid", "promo", "subscription"] as const)[random(3)] ?? "paid";
    const answer = await insist(() => creditWallet(system, { ...base, billingAccountId, source, expiresAt }));
    if (answer instanceof TollgateError) throw answer;
    account.balance += amount;
    reversible.push({ account, transactionId: answer.id, amount: -amount });
  }
  async function debit({ account, amount, base, operator }: Turn): Promise<void> {
    const input = { ...base, billingAccountId: account.billingAccountId };
    const answer = await insist(() => decrementBalance({ ctx: operator, input }));
    if (answer instanceof TollgateError) return expectRefusal(answer);
    account.balance -= amount;
    reversible.push({ account, transactionId: answer.id, amount });
  }
  async function transfer({ account, other, amount, base, operator }: Turn): Promise<void> {
    if (account === other) return;
    const to = { fromBillingAccountId: account.billingAccountId, toBillingAccountId: other.billingAccountId };
    const answer = await insist(() => transferBalance({ ctx: operator, input: { ...base, ...to } }));
    if (answer instanceof TollgateError) return expectRefusal(answer);
    account.balance -= amount;
    other.balance += amount;
  }
  async function reverse({ base, operator }: Turn): Promise<void> {
    const [target] = reversible.splice(random(Math.max(1, reversible.length)), 1);
    if (target === undefined) return;
    const { billingAccountId } = target.account;
    const input = { ...base, micros: undefined, billingAccountId, transactionId: target.transactionId };
    const answer = await insist(() => reverseTransaction({ ctx: operator, input }));
    if (answer instanceof TollgateError) return expectRefusal(answer);
    target.account.balance += target.amount;
  }
  /** As calls do: what they may take is leased first, and only what nobody else has a claim to can be leased. */
  async function use({ account, amount }: Turn): Promise<void> {
    const { billingAccountId, projectId } = account;
    const run = (statement: SQL) => withTransaction(fixture.as(), (ctx) => ctx.db.execute(statement));
    const leased = await run(sql`
      update budgets set held = held + ${amount.toString()}::int8 where billing_account_id = ${billingAccountId}
        and kind = 'wallet' and limit_amount - used - held >= ${amount.toString()}::int8 returning id`);
    if (leased.length === 0) return;
    const at = new Date(fixture.clock.nowMs() - HOUR_MS);
    const endpointId = `ep_0000000${random(5)}`;
    await makeCalls(fixture, [{ billingAccountId, projectId, endpointId, at, chargedMicros: micros(amount) }]);
    await run(sql`
      update budgets set held = held - ${amount.toString()}::int8 where billing_account_id = ${billingAccountId}
        and kind = 'wallet'`);
    account.balance -= amount;
  }
  async function settle({ account: { billingAccountId }, system }: Turn): Promise<void> {
    const before = new Date(fixture.clock.nowMs() - (fixture.clock.nowMs() % HOUR_MS));
    await insist(() => settleAccount({ ctx: system, input: { billingAccountId, before } }));
  }
  const moves = [credit, credit, credit, debit, debit, transfer, transfer, reverse, use, settle];

  async function perform(): Promise<void> {
    const account = pick();
    const other = pick();
    const move = moves[random(moves.length)];
    if (account === undefined || other === undefined || move === undefined) throw new Error("There are accounts");
    const amount = BigInt(1 + random(500));
    const base = { micros: micros(amount), reference: "Model", visible: true, idempotencyKey: newId("job") };
    const [operator, system] = [through(fixture.as(OPERATOR)), through(fixture.as(SYSTEM))];
    await move({ account, other, amount, base, operator, system });
  }

  async function worker(): Promise<void> {
    while (done < OPERATIONS) {
      done += 1;
      injectFault();
      await perform();
      // A run of an hour says that it is alive.
      if (done % PROGRESS_OPERATIONS === 0) console.info(`${done} movements of ${OPERATIONS}`);
    }
  }
  /** About every third operation meets a fault, however fast the machine is. */
  function injectFault(): void {
    if (proxy.ordersLeft > 2) return;
    const fault = random(12);
    if (fault === 0) proxy.cutAtCommit("before");
    else if (fault === 1) proxy.cutAtCommit("after");
    else if (fault === 2) proxy.failCommits(2);
    else if (fault === 3) proxy.failStatements(/update|insert/i, 2);
  }
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  } finally {
    await proxy.restore();
  }
  for (const { billingAccountId, balance } of accounts) {
    const read = await readBalance({ ctx: fixture.as(SYSTEM), input: { billingAccountId } });
    expect([billingAccountId, read.balance]).toEqual([billingAccountId, balance]);
  }
  const books = await checkBooks({ ctx: fixture.as(SYSTEM) });
  expect(books.filter((result) => !result.ok)).toEqual([]);
  await database.close();
});
