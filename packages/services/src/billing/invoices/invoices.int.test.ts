import { schema } from "@tollgate/db";
import type { SellerEnv } from "@tollgate/kernel";
import { newId, TollgateError, toSeller } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../../test/serviceFixture.ts";
import {
  createServiceFixture,
  customerActor,
  insertMember,
  insertProject,
  OPERATOR,
  SYSTEM,
} from "../../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../../test/usageFixture.ts";
import { creditWallet, readBalance } from "../../balance/index.ts";
import { checkBooks } from "../../checks/index.ts";
import {
  addAccountAdmin,
  closeDueAccounts,
  closePeriod,
  closePeriods,
  getInvoice,
  issueCreditNote,
  listInvoices,
  listPendingCharges,
  removeAccountAdmin,
  updateAccount,
  voidInvoice,
} from "../index.ts";

const HOUR_MS = 3_600_000;
let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const operator = () => fixture.as(OPERATOR);
async function newAccount(credit = 1_000_000) {
  const project = await insertProject(fixture);
  const account = { billingAccountId: project.billingAccountId, projectId: project.id };
  await creditWallet(fixture.as(SYSTEM), {
    billingAccountId: account.billingAccountId,
    micros: micros(credit),
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
  });
  return account;
}
type Account = Awaited<ReturnType<typeof newAccount>>;
const use = (account: Account, amount: number, at = fixture.clock.now(), endpointId = "ep_00000001") =>
  makeCalls(fixture, [{ ...account, endpointId, at, chargedMicros: micros(amount) }]);
const close = ({ billingAccountId }: Account, at = fixture.clock.now()) =>
  closePeriod({ ctx: operator(), input: { billingAccountId, at } });
const invoicesOf = async ({ billingAccountId }: Account) =>
  (await listInvoices({ ctx: operator(), input: { billingAccountId, limit: 200 } })).items;
const expectBooksToBalance = async () =>
  expect((await checkBooks({ ctx: fixture.as(SYSTEM) })).filter((result) => !result.ok)).toEqual([]);
const reasonOf = async (work: Promise<unknown>) => {
  try {
    await work;
  } catch (error) {
    if (error instanceof TollgateError) return error.reason;
    throw error;
  }
  return "none";
};

test("a period has one invoice, however often and by however many it is closed, and its lines are the ledger's", async () => {
  fixture.clock.set("2026-01-15T12:00:00Z");
  const account = await newAccount();
  await use(account, 30);
  await use(account, 30);
  await use(account, 7, fixture.clock.now(), "ep_00000002");
  fixture.clock.set("2026-02-15T02:00:00Z");
  await use(account, 1_000);
  fixture.clock.advanceMs(HOUR_MS);
  const at = fixture.clock.now();
  const closed = await Promise.all([
    ...Array.from({ length: 4 }, () => close(account)),
    ...Array.from({ length: 4 }, () =>
      closePeriods({
        ctx: fixture.otherProcess(SYSTEM),
        input: { billingAccountIds: [account.billingAccountId], at: at.toISOString() },
      }),
    ),
  ]);
  expect(closed.reduce((sum, result) => sum + result.closed, 0)).toBe(1);
  const { closed: again, invoice } = await close(account);
  expect(again).toBe(0);
  expect(invoice).toMatchObject({
    status: "paid",
    totalMicros: 67n,
    dueMicros: 0n,
    periodStart: new Date("2026-01-15T00:00:00Z"),
    periodEnd: new Date("2026-02-15T00:00:00Z"),
  });
  expect(invoice?.lines.map((line) => [line.endpointId, line.quantity, line.amountMicros])).toEqual([
    ["ep_00000001", "2", 60n],
    ["ep_00000002", "1", 7n],
  ]);
  expect(await invoicesOf(account)).toHaveLength(1);
  await expectBooksToBalance();
});

test("late calls go to the next invoice, and an invoice that is made does not change", async () => {
  fixture.clock.set("2026-03-01T12:00:00Z");
  const account = await newAccount();
  const at = fixture.clock.now();
  await use(account, 10, at);
  fixture.clock.set("2026-04-15T12:00:00Z");
  const first = (await close(account)).invoice;
  await use(account, 5, at);
  await use(account, 3);
  fixture.clock.set("2026-05-15T12:00:00Z");
  await close(account);
  const invoices = await invoicesOf(account);
  expect(invoices.map((invoice) => invoice.totalMicros).sort()).toEqual([10n, 8n].sort());
  expect(
    (await getInvoice({ ctx: operator(), input: { invoiceId: first?.id ?? "", format: "json" } })).invoice,
  ).toEqual(first);
  await expectBooksToBalance();
});

test("numbers are sequential and without gaps, also when many accounts close at once and some fail", async () => {
  fixture.clock.set("2026-06-02T12:00:00Z");
  const accounts = await Promise.all(Array.from({ length: 12 }, () => newAccount()));
  for (const account of accounts) await use(account, 10);
  fixture.clock.set("2026-07-20T12:00:00Z");
  await Promise.allSettled([
    ...accounts.map((account) => close(account)),
    ...accounts.map((account) => close({ ...account, billingAccountId: newId("billingAccount") })),
  ]);
  const rows = await fixture.as().db.select().from(schema.invoices).where(eq(schema.invoices.kind, "usage"));
  const numbers = rows
    .flatMap((row) => (row.number === null ? [] : [Number(row.number.slice(4))]))
    .sort((a, b) => a - b);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  for (const account of accounts) expect(await invoicesOf(account)).toHaveLength(1);
});

test("the sweep orders every account whose period has ended, and periods tile whatever changes in between", async () => {
  fixture.clock.set("2026-08-31T12:00:00Z");
  const account = await newAccount();
  await use(account, 10);
  fixture.clock.set("2026-10-02T12:00:00Z");
  await fixture.as().db.delete(schema.outbox);
  await closeDueAccounts({ ctx: fixture.as(SYSTEM) });
  const jobs = await fixture
    .as()
    .db.select()
    .from(schema.outbox)
    .where(eq(schema.outbox.name, "billing.close-periods"));
  expect(jobs.flatMap((job) => job.payload["billingAccountIds"] as string[])).toContain(account.billingAccountId);
  await close(account);
  await updateAccount({
    ctx: operator(),
    input: { billingAccountId: account.billingAccountId, timeZone: "Asia/Kathmandu", cadence: "quarterly" },
  });
  fixture.clock.set("2027-06-02T12:00:00Z");
  await close(account);
  const rows = await fixture
    .as()
    .db.select()
    .from(schema.invoices)
    .where(eq(schema.invoices.billingAccountId, account.billingAccountId));
  const periods = rows.sort((a, b) => a.periodStart.getTime() - b.periodStart.getTime());
  expect(periods.length).toBeGreaterThan(2);
  for (const [index, period] of periods.slice(1).entries()) {
    expect(period.periodStart).toEqual(periods[index]?.periodEnd);
  }
  expect(await reasonOf(close(account, new Date("2028-01-01T00:00:00Z")))).toBe("bad_request");
});

test("what no credit paid for is due; a note or a void takes it off", async () => {
  const account = await newAccount(100);
  const at = fixture.clock.now();
  await use(account, 150, at);
  await listPendingCharges({ ctx: operator(), input: account }).then((pending) =>
    expect(pending).toMatchObject({ totalMicros: 150n, items: [{ amountMicros: 150n }] }),
  );
  fixture.clock.advanceMs(40 * 24 * HOUR_MS);
  const { invoice } = await close(account);
  expect(invoice).toMatchObject({ status: "final", totalMicros: 150n, dueMicros: 50n });
  const invoiceId = invoice?.id ?? "";
  const note = (amount: number, idempotencyKey: string) =>
    issueCreditNote({
      ctx: operator(),
      input: { invoiceId, micros: micros(amount), reason: "Our fault", idempotencyKey },
    });
  const [one, two] = await Promise.all([note(30, "a"), note(30, "a")]);
  expect(two).toEqual(one);
  expect(one).toMatchObject({ kind: "credit_note", totalMicros: -30n, correctsId: invoiceId });
  expect(await reasonOf(note(31, "a"))).toBe("idempotency_key_reused");
  expect(await reasonOf(note(121, "b"))).toBe("credit_note_too_large");
  const read = () => getInvoice({ ctx: operator(), input: { invoiceId, format: "json" } });
  expect((await read()).invoice).toMatchObject({ status: "final", dueMicros: 20n });
  expect((await readBalance({ ctx: operator(), input: account })).balance).toBe(-20n);
  const done = await voidInvoice({ ctx: operator(), input: { invoiceId, reason: "Test" } });
  expect(done).toMatchObject({ status: "void", dueMicros: 0n, number: invoice?.number });
  expect(await voidInvoice({ ctx: operator(), input: { invoiceId, reason: "Test" } })).toEqual(done);
  await expectBooksToBalance();
});

test("an invoice is for the account's admins, in JSON, HTML and PDF, and says what people wrote as text", async () => {
  const account = await newAccount();
  const { billingAccountId } = account;
  await updateAccount({
    ctx: operator(),
    input: {
      billingAccountId,
      name: "Müller & <b>Söhne</b> GmbH",
      taxId: "DE123456789",
      invoiceEmail: "rechnung@example.test",
      address: {
        line1: "Hauptstraße 12",
        line2: null,
        city: "Berlin",
        region: null,
        postalCode: "10115",
        country: "DE",
      },
    },
  });
  for (let index = 0; index < 40; index += 1) await use(account, 1_234 + index, undefined, `ep_${10_000_000 + index}`);
  fixture.clock.advanceMs(40 * 24 * HOUR_MS);
  const invoiceId = (await close(account)).invoice?.id ?? "";
  const admin = await insertMember(fixture, account.projectId, "viewer");
  const get = (format: "json" | "html" | "pdf") => getInvoice({ ctx: fixture.as(admin), input: { invoiceId, format } });
  expect(await reasonOf(get("json"))).toBe("invoice_not_found");
  if (admin.kind !== "customer") throw new Error("A member is a customer");
  const [person] = await fixture
    .as()
    .db.select()
    .from(schema.customers)
    .where(eq(schema.customers.id, admin.customerId));
  await addAccountAdmin({ ctx: operator(), input: { billingAccountId, email: person?.email ?? "" } });
  expect((await get("json")).invoice.lines).toHaveLength(40);
  const html = (await get("html")).document?.content ?? "";
  expect(html).toContain("M\u00fcller &amp; &lt;b&gt;S\u00f6hne&lt;/b&gt; GmbH");
  expect(html).toContain("Hauptstra\u00dfe 12");
  const pdf = Buffer.from((await get("pdf")).document?.content ?? "", "base64");
  expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
  expect(pdf.toString("latin1")).toContain("/Count 3");
});

test("an invoice is from the seller that the environment names, in its currency, and stays from that one", async () => {
  const settings = (env: SellerEnv) => {
    const seller = toSeller(env);
    return { ...(seller === undefined ? {} : { seller }), currency: "eur" };
  };
  const account = await newAccount();
  await use(account, 1_500_000);
  fixture.clock.advanceMs(40 * 24 * HOUR_MS);
  const { billingAccountId } = account;
  const named = fixture.as(
    OPERATOR,
    settings({
      SELLER_NAME: "Example APIs GmbH",
      SELLER_ADDRESS_LINE1: "Torstra\u00dfe 1",
      SELLER_CITY: "Berlin",
      SELLER_POSTAL_CODE: "10119",
      SELLER_COUNTRY: "DE",
      SELLER_TAX_ID: "DE987654321",
      SELLER_EMAIL: "billing@example.test",
    }),
  );
  const { invoice } = await closePeriod({ ctx: named, input: { billingAccountId, at: fixture.clock.now() } });
  const invoiceId = invoice?.id ?? "";
  // Who sells now does not change what was sold then.
  const later = fixture.as(OPERATOR, settings({ SELLER_NAME: "Another Ltd" }));
  const get = (format: "json" | "html" | "pdf") => getInvoice({ ctx: later, input: { invoiceId, format } });
  expect((await get("json")).invoice).toMatchObject({
    currency: "eur",
    seller: {
      name: "Example APIs GmbH",
      address: { line1: "Torstra\u00dfe 1", line2: null, city: "Berlin", region: null, country: "DE" },
      taxId: "DE987654321",
      email: "billing@example.test",
    },
  });
  const html = (await get("html")).document?.content ?? "";
  for (const text of [
    "Example APIs GmbH",
    "10119 Berlin",
    "Germany",
    "DE987654321",
    "billing@example.test",
    "\u20ac1.5",
  ]) {
    expect(html).toContain(text);
  }
  expect(html).not.toContain("Another Ltd");
  const pdf = Buffer.from((await get("pdf")).document?.content ?? "", "base64");
  expect(pdf.toString("latin1")).toContain("Example APIs GmbH");
  const note = await issueCreditNote({
    ctx: later,
    input: { invoiceId, micros: micros(10), reason: "Test", idempotencyKey: newId("job") },
  });
  expect(note.seller.name).toBe("Another Ltd");
  const document = { ctx: later, input: { invoiceId: note.id, format: "html" as const } };
  expect((await getInvoice(document)).document?.content).toMatch(/Total credited<\/td><td class="n">\u20ac0\.00001</);
});

test("two admins who remove each other at once leave one, and the last one stays", async () => {
  const account = await newAccount();
  const { billingAccountId } = account;
  const admins = await Promise.all([1, 2].map(() => insertMember(fixture, account.projectId, "viewer")));
  const ids = admins.flatMap((admin) => (admin.kind === "customer" ? [admin.customerId] : []));
  await fixture
    .as()
    .db.insert(schema.billingAccountAdmins)
    .values(ids.map((customerId) => ({ billingAccountId, customerId, createdAt: fixture.clock.now() })));
  const [a = "", b = ""] = ids;
  const remove = (by: string, customerId: string) =>
    removeAccountAdmin({ ctx: fixture.as(customerActor(by)), input: { billingAccountId, customerId } });
  const reasons = await Promise.all([reasonOf(remove(a, b)), reasonOf(remove(b, a))]);
  expect(reasons.filter((reason) => reason === "none")).toHaveLength(1);
  const left = await fixture
    .as()
    .db.select()
    .from(schema.billingAccountAdmins)
    .where(eq(schema.billingAccountAdmins.billingAccountId, billingAccountId));
  expect(left).toHaveLength(1);
  const last = left[0]?.customerId ?? "";
  expect(await reasonOf(remove(last, last))).toBe("last_admin");
});
