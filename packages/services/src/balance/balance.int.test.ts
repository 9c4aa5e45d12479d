import { schema } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { and, eq, inArray } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { checkBooks } from "../checks/index.ts";
import type { Credit } from "./index.ts";
import {
  creditWallet,
  decrementBalance,
  expireDueGrants,
  expireGrants,
  incrementBalance,
  listAdjustments,
  listGrants,
  listLedger,
  readBalance,
  settleAccount,
  settleAccounts,
  settleDueAccounts,
  transferBalance,
} from "./index.ts";

const HOUR_MS = 3_600_000;
let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const system = () => fixture.as(SYSTEM);
const operator = () => fixture.as(OPERATOR);
const newAccount = async () => (await insertProject(fixture)).billingAccountId;
const inHours = (hours: number) => new Date(fixture.clock.nowMs() + hours * HOUR_MS);
const credit = (billingAccountId: string, amount: bigint, more: Partial<Credit> = {}) =>
  creditWallet(system(), {
    billingAccountId,
    micros: micros(amount),
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
    ...more,
  });
const use = (billingAccountId: string, amount: bigint, at = fixture.clock.now(), endpointId = "ep_00000001") =>
  makeCalls(fixture, [
    { billingAccountId, projectId: projectOf(billingAccountId), endpointId, at, chargedMicros: micros(amount) },
  ]);
/** Of whose project only the id matters here: one for each account. */
const projectOf = (billingAccountId: string) => billingAccountId.replace("ba_", "prj_");
const balanceOf = (billingAccountId: string) => readBalance({ ctx: system(), input: { billingAccountId } });
const settle = (billingAccountId: string) =>
  settleAccount({ ctx: system(), input: { billingAccountId, before: hourOf(fixture.clock.nowMs()) } });
const hourOf = (ms: number) => new Date(ms - (ms % HOUR_MS));
const nextHour = () => fixture.clock.advanceMs(HOUR_MS - (fixture.clock.nowMs() % HOUR_MS));
async function expectBooksToBalance(): Promise<void> {
  const results = await checkBooks({ ctx: system() });
  expect(results.filter((result) => !result.ok)).toEqual([]);
}
const page = (billingAccountId: string, limit = 200) => ({ billingAccountId, limit });
async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof TollgateError) return `${error.code} ${error.reason}`;
    throw error;
  }
  return "none";
}

test("twenty parallel credits with one key are one credit with one answer", async () => {
  const billingAccountId = await newAccount();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => credit(billingAccountId, 5_000n, { idempotencyKey: "same" })),
  );
  expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect((await balanceOf(billingAccountId)).balance).toBe(5_000n);
  expect((await listGrants({ ctx: system(), input: page(billingAccountId) })).items).toHaveLength(1);
  await expectBooksToBalance();
});

test("thirty parallel credits with keys of their own all count", async () => {
  const billingAccountId = await newAccount();
  await Promise.all(Array.from({ length: 30 }, (_, index) => credit(billingAccountId, BigInt(index + 1))));
  expect((await balanceOf(billingAccountId)).balance).toBe(465n);
});

test("a key that is used for another credit is refused, and belongs to its account alone", async () => {
  const [one, other] = [await newAccount(), await newAccount()];
  await credit(one, 10n, { idempotencyKey: "k" });
  expect(await reasonOf(credit(one, 11n, { idempotencyKey: "k" }))).toBe("CONFLICT idempotency_key_reused");
  expect(await reasonOf(credit(one, 10n, { idempotencyKey: "k", source: "promo" }))).toBe(
    "CONFLICT idempotency_key_reused",
  );
  await credit(other, 11n, { idempotencyKey: "k" });
  expect((await balanceOf(one)).balance).toBe(10n);
  expect((await balanceOf(other)).balance).toBe(11n);
});

test("a credit is announced once and audited once", async () => {
  const billingAccountId = await newAccount();
  const answer = await credit(billingAccountId, 10n, { idempotencyKey: "k" });
  await credit(billingAccountId, 10n, { idempotencyKey: "k" });
  const { db } = system();
  const events = (await db.select().from(schema.outbox).where(eq(schema.outbox.name, "balance.credited"))).filter(
    (row) => row.payload["billingAccountId"] === billingAccountId,
  );
  expect(events.map((row) => row.payload)).toEqual([
    { billingAccountId, transactionId: answer.id, grantId: answer.grantId, source: "paid", micros: "10" },
  ]);
  const audits = await db
    .select()
    .from(schema.auditLog)
    .where(and(eq(schema.auditLog.subject, billingAccountId), eq(schema.auditLog.action, "balance.credit")));
  expect(audits).toHaveLength(1);
});

test("a wallet holds up to 10^18 micros and not one more", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 10n ** 18n - 1n);
  await credit(billingAccountId, 1n);
  expect(await reasonOf(credit(billingAccountId, 1n))).toBe("UNPROCESSABLE balance_too_large");
  await use(billingAccountId, 9_007_199_254_740_991n);
  nextHour();
  await settle(billingAccountId);
  expect((await balanceOf(billingAccountId)).balance).toBe(10n ** 18n - 9_007_199_254_740_991n);
  await expectBooksToBalance();
});

test("an operator cannot take what calls have a claim to, and the refusal uses up no key", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 100n);
  await use(billingAccountId, 30n);
  const input = { billingAccountId, micros: micros(71n), reference: "r", visible: true, idempotencyKey: "d" };
  expect(await reasonOf(decrementBalance({ ctx: operator(), input }))).toBe("PAYMENT_REQUIRED insufficient_credit");
  await credit(billingAccountId, 1n);
  const taken = await decrementBalance({ ctx: operator(), input });
  expect(taken).toMatchObject({ kind: "debit", amountMicros: -71n });
  expect(await decrementBalance({ ctx: operator(), input })).toEqual(taken);
  expect(await balanceOf(billingAccountId)).toMatchObject({ balance: 0n, available: 0n });
  await expectBooksToBalance();
});

test("parallel debits take exactly as many as the credit covers", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 95n);
  const reasons = await Promise.all(
    Array.from({ length: 15 }, (_, index) =>
      reasonOf(
        decrementBalance({
          ctx: operator(),
          input: { billingAccountId, micros: micros(10n), reference: "r", visible: true, idempotencyKey: `d${index}` },
        }),
      ),
    ),
  );
  expect(reasons.filter((reason) => reason === "none")).toHaveLength(9);
  expect((await balanceOf(billingAccountId)).balance).toBe(5n);
  await expectBooksToBalance();
});

test("settlement posts a line for each project, endpoint and price, and changes nothing of what the customer owns", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 1_000n);
  await use(billingAccountId, 30n, fixture.clock.now(), "ep_00000001");
  await use(billingAccountId, 30n, fixture.clock.now(), "ep_00000001");
  await use(billingAccountId, 7n, fixture.clock.now(), "ep_00000002");
  const hour = hourOf(fixture.clock.nowMs()).toISOString();
  const projectId = projectOf(billingAccountId);
  expect((await settle(billingAccountId)).transactionId).toBeNull();
  nextHour();
  const before = await balanceOf(billingAccountId);
  const settlement = await settle(billingAccountId);
  expect(settlement).toMatchObject({ lines: 2, totalMicros: 67n, isComplete: true });
  const after = await balanceOf(billingAccountId);
  expect({ ...after, grants: [] }).toEqual({ ...before, grants: [] });
  const { items } = await listLedger({ ctx: system(), input: page(billingAccountId) });
  expect(items.filter((item) => item.kind === "settlement").map((item) => [item.amountMicros, item.detail])).toEqual([
    [-60n, { hour, projectId, endpointId: "ep_00000001", unitPriceMicros: "30", calls: 2, units: "2" }],
    [-7n, { hour, projectId, endpointId: "ep_00000002", unitPriceMicros: "7", calls: 1, units: "1" }],
  ]);
  expect(items.reduce((sum, item) => sum + item.amountMicros, 0n)).toBe(after.balance);
  await expectBooksToBalance();
});

test("settlements running in two processes at once post an hour once", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 1_000n);
  for (let endpoint = 0; endpoint < 5; endpoint += 1) {
    await use(billingAccountId, 10n, fixture.clock.now(), `ep_0000000${endpoint}`);
  }
  nextHour();
  const input = { billingAccountId, before: hourOf(fixture.clock.nowMs()) };
  const settlements = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      settleAccount({ ctx: index % 2 === 0 ? system() : fixture.otherProcess(SYSTEM), input }),
    ),
  );
  expect(settlements.filter((settlement) => settlement.transactionId !== null)).toHaveLength(1);
  expect((await balanceOf(billingAccountId)).balance).toBe(950n);
  await expectBooksToBalance();
});

test("calls that are counted while and after their hour is settled are posted by the next settlement", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 1_000n);
  const at = fixture.clock.now();
  await use(billingAccountId, 10n, at);
  nextHour();
  await Promise.all([
    ...Array.from({ length: 6 }, () => use(billingAccountId, 10n, at)),
    settle(billingAccountId),
    settle(billingAccountId),
  ]);
  await expectBooksToBalance();
  await use(billingAccountId, 10n, at);
  await settle(billingAccountId);
  const { items } = await listLedger({ ctx: system(), input: page(billingAccountId) });
  const settled = items.filter((item) => item.kind === "settlement");
  expect(settled.reduce((sum, item) => sum + item.amountMicros, 0n)).toBe(-80n);
  expect(settled.reduce((sum, item) => sum + (item.detail?.calls ?? 0), 0)).toBe(8);
  await expectBooksToBalance();
});

test("a settlement of more lines than one transaction holds is finished by the job, line by line once", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 10_000n, { source: "promo", expiresAt: inHours(1) });
  const at = fixture.clock.now();
  await makeCalls(
    fixture,
    Array.from({ length: 1_200 }, (_, index) => ({
      billingAccountId,
      projectId: projectOf(billingAccountId),
      endpointId: `ep_${String(index).padStart(8, "0")}`,
      at,
      chargedMicros: micros(1n),
    })),
  );
  nextHour();
  nextHour();
  const before = hourOf(fixture.clock.nowMs()).toISOString();
  const done = await settleAccounts({ ctx: system(), input: { billingAccountIds: [billingAccountId], before } });
  expect(done.transactions).toBe(2);
  const { db } = system();
  const lines = await db
    .select()
    .from(schema.ledgerEntries)
    .where(eq(schema.ledgerEntries.account, `wallet:${billingAccountId}`));
  expect(lines.filter((each) => each.detail !== null)).toHaveLength(1_200);
  // All of it was used in time, and the rest has expired.
  expect((await balanceOf(billingAccountId)).balance).toBe(0n);
  await expectBooksToBalance();
});

test("accounts that are settled together each keep what they had, and one that is not there holds up no other", async () => {
  const at = fixture.clock.now();
  const accounts = await Promise.all(Array.from({ length: 12 }, newAccount));
  for (const [index, billingAccountId] of accounts.entries()) {
    await credit(billingAccountId, 1_000n, { source: "promo", expiresAt: inHours(1) });
    if (index % 3 === 0) await credit(billingAccountId, 40n);
    // Together these are more lines than one transaction holds, and some are more than their credit covers.
    const lines = index % 4 === 1 ? 0 : index * 30;
    const calls = Array.from({ length: lines }, (_, n) => ({
      ...{ billingAccountId, projectId: projectOf(billingAccountId), at, chargedMicros: micros(5n) },
      endpointId: `ep_${String(n).padStart(8, "0")}`,
    }));
    if (calls.length > 0) await makeCalls(fixture, calls);
  }
  nextHour();
  nextHour();
  const expected = await Promise.all(accounts.map(async (id) => (await balanceOf(id)).balance));
  const before = hourOf(fixture.clock.nowMs()).toISOString();
  const billingAccountIds = [...accounts, newId("billingAccount")];
  const settling = settleAccounts({ ctx: system(), input: { billingAccountIds, before } });
  expect(await reasonOf(settling)).toBe("NOT_FOUND billing_account_not_found");
  const { budgets } = schema;
  const wallets = await system().db.select().from(budgets).where(inArray(budgets.billingAccountId, accounts));
  const posted = new Map(wallets.map((wallet) => [wallet.billingAccountId, wallet]));
  expect(accounts.map((id) => posted.get(id)?.limitAmount)).toEqual(expected);
  expect(wallets.filter((wallet) => wallet.used !== 0n)).toEqual([]);
  const again = await settleAccounts({ ctx: system(), input: { billingAccountIds: accounts, before } });
  expect(again.transactions).toBe(0);
  await expectBooksToBalance();
});

test("accounts that are settled together by two processes, while their calls are counted, are each posted once", async () => {
  const at = fixture.clock.now();
  const accounts = await Promise.all(Array.from({ length: 8 }, newAccount));
  for (const id of accounts) await credit(id, 1_000n);
  for (const id of accounts) await use(id, 10n, at);
  nextHour();
  const before = hourOf(fixture.clock.nowMs()).toISOString();
  await Promise.all([
    ...accounts.map((id) => use(id, 10n, at)),
    settleAccounts({ ctx: system(), input: { billingAccountIds: accounts, before } }),
    ...accounts.map((id) => use(id, 10n, at)),
    settleAccounts({
      ctx: fixture.otherProcess(SYSTEM),
      input: { billingAccountIds: [...accounts].reverse(), before },
    }),
    ...accounts.map((id) => credit(id, 5n)),
  ]);
  await settleAccounts({ ctx: system(), input: { billingAccountIds: accounts, before } });
  for (const id of accounts) expect((await balanceOf(id)).balance).toBe(975n);
  await expectBooksToBalance();
});

test("expired credit cannot be seen or taken from the moment it expires, before any sweep", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 100n, { source: "promo", expiresAt: inHours(0.5) });
  await credit(billingAccountId, 20n);
  await use(billingAccountId, 30n);
  nextHour();
  expect(await balanceOf(billingAccountId)).toMatchObject({ balance: 20n, available: 20n });
  expect((await balanceOf(billingAccountId)).grants.map((grant) => grant.source)).toEqual(["paid"]);
  const input = { billingAccountId, micros: micros(21n), reference: "r", visible: true, idempotencyKey: "d" };
  expect(await reasonOf(decrementBalance({ ctx: operator(), input }))).toBe("PAYMENT_REQUIRED insufficient_credit");
  await decrementBalance({ ctx: operator(), input: { ...input, micros: micros(20n) } });
  expect((await balanceOf(billingAccountId)).balance).toBe(0n);
  await expectBooksToBalance();
});

test("what a late call of the last hour needs of expired credit comes back for it, and no more", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 100n, { source: "promo", expiresAt: inHours(0.5) });
  const at = fixture.clock.now();
  await use(billingAccountId, 30n, at);
  nextHour();
  expect(await expireDueGrants({ ctx: system(), input: { billingAccountId } })).toBe(true);
  expect(await expireDueGrants({ ctx: system(), input: { billingAccountId } })).toBe(false);
  expect((await balanceOf(billingAccountId)).balance).toBe(0n);
  await use(billingAccountId, 50n, at);
  await settle(billingAccountId);
  expect((await balanceOf(billingAccountId)).balance).toBe(0n);
  await use(billingAccountId, 50n, at);
  await settle(billingAccountId);
  expect((await balanceOf(billingAccountId)).balance).toBe(-30n);
  await expectBooksToBalance();
  // Credit that comes makes the wallet good first, and only the rest is there to spend.
  const made = await credit(billingAccountId, 100n);
  const { grants, balance } = await balanceOf(billingAccountId);
  expect(balance).toBe(70n);
  expect(grants).toMatchObject([{ id: made.grantId, amountMicros: 100n, remainingMicros: 70n }]);
  await expectBooksToBalance();
});

test("the sweeps order a settlement for every account that has usage or expired credit, and for no other", async () => {
  const [used, expiring, idle] = [await newAccount(), await newAccount(), await newAccount()];
  await credit(used, 100n);
  await use(used, 10n);
  await credit(expiring, 100n, { expiresAt: inHours(0.1) });
  await credit(idle, 100n);
  nextHour();
  const { db } = system();
  const ordered = async (sweep: typeof expireGrants): Promise<string[]> => {
    await db.delete(schema.outbox);
    await sweep({ ctx: system() });
    const jobs = await db.select().from(schema.outbox).where(eq(schema.outbox.name, "balance.settle"));
    return jobs.flatMap((job) => job.payload["billingAccountIds"] as string[]);
  };
  const toSettle = await ordered(settleDueAccounts);
  expect(toSettle).toContain(used);
  expect(toSettle).not.toContain(idle);
  const toExpire = await ordered(expireGrants);
  expect(toExpire).toContain(expiring);
  expect(toExpire).not.toContain(used);
  expect(new Set(toExpire).size).toBe(toExpire.length);
});

test("a transfer keeps each part's source and expiry and makes a debt good first", async () => {
  const [from, to] = [await newAccount(), await newAccount()];
  await credit(from, 60n, { source: "promo", expiresAt: inHours(100) });
  await credit(from, 60n);
  await credit(to, 5n);
  await use(to, 35n);
  nextHour();
  await settle(to);
  const input = {
    fromBillingAccountId: from,
    toBillingAccountId: to,
    micros: micros(100n),
    reference: "r",
    visible: true,
    idempotencyKey: "t",
  };
  const answers = await Promise.all(Array.from({ length: 4 }, () => transferBalance({ ctx: operator(), input })));
  expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
  expect((await balanceOf(from)).balance).toBe(20n);
  const received = await balanceOf(to);
  expect(received.balance).toBe(70n);
  expect(received.grants.map((grant) => [grant.source, grant.remainingMicros, grant.expiresAt === null])).toEqual([
    ["promo", 30n, false],
    ["paid", 40n, true],
  ]);
  const adjustments = await listAdjustments({ ctx: system(), input: page(to) });
  expect(adjustments.items.map((item) => [item.kind, item.amountMicros])).toEqual([
    ["transfer", 100n],
    ["credit", 5n],
  ]);
  await expectBooksToBalance();
});

test("transfers in both directions at once lose nothing", async () => {
  const [one, other] = [await newAccount(), await newAccount()];
  await credit(one, 100n);
  await credit(other, 100n);
  await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      transferBalance({
        ctx: operator(),
        input: {
          fromBillingAccountId: index % 2 === 0 ? one : other,
          toBillingAccountId: index % 2 === 0 ? other : one,
          micros: micros(index + 1),
          reference: "r",
          visible: true,
          idempotencyKey: `t${index}`,
        },
      }),
    ),
  );
  expect((await balanceOf(one)).balance).toBe(105n);
  expect((await balanceOf(other)).balance).toBe(95n);
  await expectBooksToBalance();
});

test("the statement is paged line by line without loss, and its lines add up to what is posted", async () => {
  const billingAccountId = await newAccount();
  await credit(billingAccountId, 500n, { visible: false, reference: "secret" });
  for (let endpoint = 0; endpoint < 7; endpoint += 1) {
    await use(billingAccountId, BigInt(endpoint + 1), fixture.clock.now(), `ep_0000000${endpoint}`);
  }
  nextHour();
  await settle(billingAccountId);
  const seen: string[] = [];
  let total = 0n;
  for (let cursor: string | undefined; ; ) {
    const ledger = await listLedger({
      ctx: system(),
      input: { billingAccountId, limit: 3, ...(cursor === undefined ? {} : { cursor }) },
    });
    for (const item of ledger.items) {
      seen.push(`${item.transactionId}:${item.line}`);
      total += item.amountMicros;
    }
    if (ledger.nextCursor === null) break;
    cursor = ledger.nextCursor;
  }
  expect(seen).toHaveLength(8);
  expect(new Set(seen).size).toBe(8);
  expect(total).toBe(472n);
});

test("strangers do not learn that an account is there, and members see what operators made visible", async () => {
  const project = await insertProject(fixture);
  const { billingAccountId } = project;
  await credit(billingAccountId, 10n, { reference: "shown" });
  await credit(billingAccountId, 10n, { reference: "hidden", visible: false });
  const member = fixture.as(await insertMember(fixture, project.id, "viewer"));
  const stranger = fixture.as(await insertMember(fixture, (await insertProject(fixture)).id, "owner"));
  const input = page(billingAccountId);
  for (const verb of [readBalance, listLedger, listAdjustments, listGrants]) {
    expect(await reasonOf(verb({ ctx: stranger, input }))).toBe("NOT_FOUND billing_account_not_found");
    expect(await reasonOf(verb({ ctx: fixture.as(), input }))).toBe("UNAUTHORIZED unauthorized");
  }
  expect((await listAdjustments({ ctx: member, input })).items.map((item) => item.reference)).toEqual(["shown"]);
  const ledger = await listLedger({ ctx: member, input });
  expect(ledger.items.map((item) => item.reference).sort()).toEqual(["shown", null].sort());
  const change = { billingAccountId, micros: micros(1n), reference: "r", visible: true, idempotencyKey: "x" };
  expect(await reasonOf(incrementBalance({ ctx: member, input: { ...change, source: "promo" } }))).toBe(
    "FORBIDDEN forbidden",
  );
  expect(await reasonOf(decrementBalance({ ctx: member, input: change }))).toBe("FORBIDDEN forbidden");
  const nobody = { ...change, billingAccountId: newId("billingAccount") };
  expect(await reasonOf(decrementBalance({ ctx: operator(), input: nobody }))).toBe(
    "NOT_FOUND billing_account_not_found",
  );
});
