import type { DomainEvent, EventSubject } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OPERATOR, SYSTEM } from "../../../test/serviceFixture.ts";
import type { PayingAccount, StripeFixture } from "../../../test/stripeFixture.ts";
import { createStripeFixture } from "../../../test/stripeFixture.ts";
import { makeCalls, micros } from "../../../test/usageFixture.ts";
import { announceLevels, creditWallet, setLowBalanceAlert } from "../../balance/index.ts";
import {
  closePeriod,
  issueCreditNote,
  renderInvoiceAttachment,
  updateAccount,
  voidInvoice,
} from "../../billing/index.ts";
import { setAutoTopUp, topUpAccount } from "../../payments/index.ts";
import type { OutgoingMail } from "../index.ts";
import { sendEmail } from "../index.ts";
import { unsealData } from "../internal.ts";
import type { EmailTemplateName } from "../templates/index.ts";
import { renderEmail } from "../templates/index.ts";
import { MAIL_HANDLERS } from "./mailHandlers.ts";

const DAY_MS = 24 * 3_600_000;
let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
});
afterAll(() => fixture?.close());

const credit = ({ billingAccountId }: PayingAccount, amount: number) =>
  creditWallet(fixture.as(SYSTEM), {
    billingAccountId,
    micros: micros(amount),
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
  });
const use = ({ billingAccountId, projectId }: PayingAccount, amount: number) =>
  makeCalls(fixture, [
    {
      billingAccountId,
      projectId,
      endpointId: "ep_00000001",
      at: fixture.clock.now(),
      chargedMicros: micros(amount),
    },
  ]);
const announce = () => announceLevels({ ctx: fixture.as(SYSTEM) });

/** Closes a period in which so much was used. @returns the invoice's id */
async function closeWith(account: PayingAccount, amount: number): Promise<string> {
  await use(account, amount);
  fixture.clock.advanceMs(40 * DAY_MS);
  const input = { billingAccountId: account.billingAccountId, at: fixture.clock.now() };
  return (await closePeriod({ ctx: fixture.as(OPERATOR), input })).invoice?.id ?? "";
}

/** The events of an account that are to be mailed, as the stream would bring them. */
async function eventsOf({ billingAccountId }: PayingAccount): Promise<DomainEvent[]> {
  const rows = await fixture
    .as()
    .db.select()
    .from(schema.outbox)
    .where(eq(schema.outbox.kind, "event"))
    .orderBy(schema.outbox.createdAt, schema.outbox.ordinal);
  return rows
    .filter((row) => row.payload["billingAccountId"] === billingAccountId && Object.hasOwn(MAIL_HANDLERS, row.name))
    .map((row) => ({
      id: row.id,
      subject: row.name as EventSubject,
      version: row.version,
      time: row.createdAt,
      actor: row.actor,
      requestId: row.requestId,
      data: row.payload as never,
    }));
}
const handle = (event: DomainEvent) =>
  withTransaction(fixture.as(SYSTEM), (ctx) =>
    MAIL_HANDLERS[event.subject as keyof typeof MAIL_HANDLERS](ctx, event as never),
  );
async function handleAll(account: PayingAccount): Promise<void> {
  for (const event of await eventsOf(account)) await handle(event);
}

async function addressOf({ admin }: PayingAccount): Promise<string> {
  if (admin.kind !== "customer") throw new Error("The admin is no customer");
  const { customers } = schema;
  const [row] = await fixture.as().db.select().from(customers).where(eq(customers.id, admin.customerId));
  return row?.email ?? "";
}
/** The mails that wait for an address, as they would be read. */
async function mailsTo(to: string) {
  const { emails } = schema;
  const rows = await fixture
    .as()
    .db.select()
    .from(emails)
    .where(and(eq(emails.recipient, to), eq(emails.status, "queued")))
    .orderBy(emails.createdAt, emails.id);
  return rows.map((row) => ({
    id: row.id,
    template: row.template,
    attachedInvoiceId: row.attachedInvoiceId,
    ...renderEmail(row.template as EmailTemplateName, unsealData(fixture.settings.masterSecret, row.data)),
  }));
}

async function send(emailId: string): Promise<OutgoingMail | undefined> {
  let sent: OutgoingMail | undefined;
  const transport = {
    send: async (mail: OutgoingMail) => {
      sent = mail;
    },
    close: async () => {},
  };
  const renderInvoice = renderInvoiceAttachment;
  await sendEmail({ ctx: fixture.as(SYSTEM), input: { emailId }, transport, renderInvoice });
  return sent;
}

test("a balance that runs low is mailed to the account's admins once, however often the event comes", async () => {
  const account = await fixture.newAccount();
  const { billingAccountId } = account;
  await setLowBalanceAlert({
    ctx: fixture.as(OPERATOR),
    input: { billingAccountId, thresholdMicros: micros(5_000_000) },
  });
  await credit(account, 1_234_000_000);
  await use(account, 1_230_800_000);
  await announce();
  const [event, ...more] = await eventsOf(account);
  if (event === undefined) throw new Error("Nothing was announced");
  expect(more).toEqual([]);
  await Promise.all([handle(event), handle(event), handle(event)]);
  const [mail, ...others] = await mailsTo(await addressOf(account));
  expect(others).toEqual([]);
  expect(mail).toMatchObject({ template: "lowBalance", subject: "Your balance is down to $3.20" });
  expect(mail?.text).toContain("less than $5.00");
});

test("a balance that is used up at one go is one mail, which says so", async () => {
  const account = await fixture.newAccount();
  await credit(account, 50_000_000);
  await use(account, 50_000_000);
  await announce();
  expect((await eventsOf(account)).map(({ subject }) => subject)).toEqual(["balance.low", "balance.exhausted"]);
  await handleAll(account);
  expect((await mailsTo(await addressOf(account))).map(({ template }) => template)).toEqual(["exhaustedBalance"]);
});

test("what has recovered, or is a day old, is told to nobody", async () => {
  const [recovered, old] = [await fixture.newAccount(), await fixture.newAccount()];
  for (const account of [recovered, old]) {
    await credit(account, 50_000_000);
    await use(account, 50_000_000);
  }
  await announce();
  await credit(recovered, 90_000_000);
  await announce();
  fixture.clock.advanceMs(DAY_MS + 1);
  for (const account of [recovered, old]) {
    await handleAll(account);
    expect(await mailsTo(await addressOf(account))).toEqual([]);
  }
});

test("an invoice is mailed with its PDF to the address for invoices, or else to the admins", async () => {
  const [usual, named] = [await fixture.newAccount(), await fixture.newAccount()];
  const invoiceEmail = fixture.newEmail();
  await updateAccount({
    ctx: fixture.as(OPERATOR),
    input: { billingAccountId: named.billingAccountId, name: "Example GmbH", invoiceEmail },
  });
  for (const account of [usual, named]) {
    await credit(account, 50_000_000);
    await use(account, 1_500_000);
  }
  fixture.clock.advanceMs(40 * DAY_MS);
  for (const account of [usual, named]) {
    const input = { billingAccountId: account.billingAccountId, at: fixture.clock.now() };
    const { invoice } = await closePeriod({ ctx: fixture.as(OPERATOR), input });
    await handleAll(account);
    await handleAll(account);
    const to = account === named ? invoiceEmail : await addressOf(account);
    const [mail, ...more] = await mailsTo(to);
    expect(more).toEqual([]);
    expect(mail).toMatchObject({
      template: "invoice",
      subject: `Invoice ${invoice?.number} over $1.50`,
      attachedInvoiceId: invoice?.id,
    });
    expect(mail?.text).toContain("It is paid; there is nothing to do.");
    const sent = await send(mail?.id ?? "");
    expect(sent?.attachments).toMatchObject([{ fileName: `${invoice?.number}.pdf`, contentType: "application/pdf" }]);
    expect(sent?.attachments?.[0]?.content.subarray(0, 5).toString()).toBe("%PDF-");
  }
  expect(await mailsTo(await addressOf(named))).toEqual([]);
});

test("a credit note is mailed as what it is", async () => {
  const account = await fixture.newAccount();
  await credit(account, 50_000_000);
  const invoiceId = await closeWith(account, 2_000_000);
  const note = await issueCreditNote({
    ctx: fixture.as(OPERATOR),
    input: { invoiceId, micros: micros(500_000), reason: "Charged twice", idempotencyKey: newId("job") },
  });
  await handleAll(account);
  const mails = await mailsTo(await addressOf(account));
  expect(mails.map(({ template }) => template).toSorted()).toEqual(["creditNote", "invoice"]);
  const mail = mails.find(({ template }) => template === "creditNote");
  expect(mail).toMatchObject({ attachedInvoiceId: note.id, subject: `Credit note ${note.number} over $0.50` });
  expect(mail?.text).toContain("Charged twice");
});

test("an invoice says what is due of it, and one that was voided before is not mailed", async () => {
  const [open, voided] = [await fixture.newAccount(), await fixture.newAccount()];
  for (const account of [open, voided]) await credit(account, 500_000);
  await closeWith(open, 2_000_000);
  const invoiceId = await closeWith(voided, 2_000_000);
  await voidInvoice({ ctx: fixture.as(OPERATOR), input: { invoiceId, reason: "Test" } });
  await handleAll(open);
  await handleAll(voided);
  const [mail] = await mailsTo(await addressOf(open));
  expect(mail?.text).toContain("$1.50 of it is due");
  expect(await mailsTo(await addressOf(voided))).toEqual([]);
});

test("an automatic top-up that is declined is mailed with the next attempt, and at last without one", async () => {
  const account = await fixture.newAccount();
  const { billingAccountId } = account;
  await setAutoTopUp({
    ctx: fixture.pay(account.admin),
    input: {
      billingAccountId,
      isOn: true,
      thresholdMicros: micros(30_000_000),
      amountCents: 2_000,
      maxPerMonthCents: 100_000,
      cardId: await account.saveCard("pm_card_chargeCustomerFail"),
    },
  });
  for (const waitMs of [3_600_000, 6 * 3_600_000, DAY_MS]) {
    await topUpAccount({ ctx: fixture.pay(SYSTEM), input: { billingAccountId } });
    await handleAll(account);
    fixture.clock.advanceMs(waitMs);
  }
  const mails = (await mailsTo(await addressOf(account))).filter(({ template }) => template === "paymentFailed");
  expect(mails.map(({ subject }) => subject)).toEqual(Array(3).fill("Your payment of $20.00 did not go through"));
  expect(mails.map(({ text }) => text.includes("is tried again on"))).toEqual([true, true, false]);
});
