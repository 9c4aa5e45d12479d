import { listSentInput, sendEmailInput, suppressEmailInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import type { MailTransport } from "./index.ts";
import { listSentEmails, MailRejectedError, orderEmail, sendEmail, suppressEmail, unsuppressEmail } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const SHOP: Actor = { kind: "service", service: "shop" };
const CODE = { template: "verification", data: { code: "K7QX2M9P", minutes: 5 } };
const order = (input: Record<string, unknown>, actor: Actor = SHOP) =>
  orderEmail({
    ctx: fixture.as(actor),
    input: sendEmailInput.parse({ idempotencyKey: newId("email"), to: fixture.newEmail(), ...CODE, ...input }),
  });
/** A worker's attempt at a mail; tells whether the transport was asked. */
async function attempt(emailId: string, failure?: Error) {
  const sent: string[] = [];
  const transport: MailTransport = {
    send: async (mail) => {
      sent.push(mail.to);
      if (failure !== undefined) throw failure;
    },
    close: async () => {},
  };
  const outcome = await sendEmail({ ctx: fixture.as(SYSTEM), input: { emailId }, transport });
  return { outcome, sent };
}
const suppress = (email: string, reason?: string) =>
  suppressEmail({ ctx: fixture.as(OPERATOR), input: suppressEmailInput.parse({ email, reason }) });
const list = (input: Record<string, unknown>) =>
  listSentEmails({ ctx: fixture.as(OPERATOR), input: listSentInput.parse(input) });

describe("a service's mail", () => {
  test("is sent once for a key, and another mail under the same key is refused", async () => {
    const to = fixture.newEmail();
    const request = { to, idempotencyKey: "order-1" };
    const answers = await Promise.all([order(request), order(request), order(request)]);
    expect(new Set(answers.map((mail) => mail.id)).size).toBe(1);
    expect((await attempt(answers[0]?.id ?? "")).sent).toEqual([to]);
    expect(await order(request)).toMatchObject({ id: answers[0]?.id, status: "sent" });
    for (const other of [{ to: fixture.newEmail() }, { data: { code: "2222ZZZZ", minutes: 5 } }]) {
      await expect(order({ ...request, ...other })).rejects.toMatchObject({ reason: "idempotency_key_reused" });
    }
  });

  test("has its key to itself: another service may use the same one", async () => {
    const [one, other] = [await order({ idempotencyKey: "k" }), await order({ idempotencyKey: "k" }, SYSTEM)];
    expect(one.id).not.toBe(other.id);
  });

  test("waits for its time", async () => {
    const sendAt = new Date(fixture.clock.nowMs() + 60_000);
    const { id } = await order({ sendAt });
    expect((await attempt(id)).outcome).toBe("skipped");
    fixture.clock.advanceMs(60_000);
    expect((await attempt(id)).outcome).toBe("sent");
  });

  test("is refused by the field that is wrong", async () => {
    await expect(order({ template: "constructor" })).rejects.toMatchObject({ issues: [{ path: "template" }] });
    await expect(order({ data: { code: "K7QX2M9P" } })).rejects.toMatchObject({ issues: [{ path: "data.minutes" }] });
  });

  test("keeps what it says out of the database in the clear, and out of the audit", async () => {
    const { id } = await order({});
    const { auditLog, emails } = schema;
    const { db } = fixture.as();
    const rows = [
      await db.select().from(emails).where(eq(emails.id, id)),
      await db.select().from(auditLog).where(eq(auditLog.subject, id)),
    ];
    expect(rows.map((found) => found.length)).toEqual([1, 1]);
    expect(JSON.stringify(rows)).not.toContain("K7QX2M9P");
  });
});

describe("suppression", () => {
  test("stops every mail to an address, also one that was queued before", async () => {
    const to = fixture.newEmail();
    const { id } = await order({ to });
    await suppress(to);
    expect(await attempt(id)).toEqual({ outcome: "suppressed", sent: [] });
    expect((await list({ to })).items).toMatchObject([{ id, status: "suppressed" }]);
    await unsuppressEmail({ ctx: fixture.as(OPERATOR), input: { email: to } });
    expect((await attempt((await order({ to })).id)).outcome).toBe("sent");
  });

  test("of who has unsubscribed stops only the mails that one may unsubscribe from", async () => {
    const to = fixture.newEmail();
    await suppress(to, "unsubscribe");
    const data = { gatewayUrl: "https://gateway.example.test", referenceUrl: "https://api.example.test/reference" };
    const welcome = await order({ to, template: "welcome", data });
    expect((await attempt(welcome.id)).outcome).toBe("suppressed");
    expect((await attempt((await order({ to })).id)).outcome).toBe("sent");
  });

  test("comes by itself when a mailbox does not exist, and not for other refusals", async () => {
    const [gone, picky] = [fixture.newEmail(), fixture.newEmail()];
    const bounce = new MailRejectedError("no such mailbox", { isUndeliverable: true });
    expect((await attempt((await order({ to: gone })).id, bounce)).outcome).toBe("failed");
    expect((await attempt((await order({ to: picky })).id, new MailRejectedError("spam"))).outcome).toBe("failed");
    expect((await attempt((await order({ to: gone })).id)).outcome).toBe("suppressed");
    expect((await attempt((await order({ to: picky })).id)).outcome).toBe("sent");
  });

  test("done again changes nothing, also at once, and names no address in audit or events", async () => {
    const email = fixture.newEmail();
    await Promise.all([suppress(email), suppress(email), suppress(email)]);
    expect(await suppress(email, "complaint")).toMatchObject({ reason: "complaint" });
    const { db } = fixture.as();
    for (const table of [schema.auditLog, schema.outbox]) {
      expect(JSON.stringify(await db.select().from(table))).not.toContain(email);
    }
  });
});

test("operators list mails by address, template and status, in pages", async () => {
  const to = fixture.newEmail();
  const ids: string[] = [];
  for (let nth = 0; nth < 3; nth += 1) {
    fixture.clock.advanceMs(1_000);
    ids.unshift((await order({ to })).id);
  }
  await attempt(ids[0] ?? "");
  const first = await list({ to, limit: 2 });
  const second = await list({ to, limit: 2, cursor: first.nextCursor });
  expect([...first.items, ...second.items].map((mail) => mail.id)).toEqual(ids);
  expect(second.nextCursor).toBeNull();
  expect((await list({ to, status: "sent" })).items.map((mail) => mail.id)).toEqual([ids[0]]);
  expect((await list({ to, template: "welcome" })).items).toEqual([]);
});

test("services order mails, operators watch them, and customers do neither", async () => {
  const customer = customerActor(newId("customer"));
  await expect(order({}, customer)).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(order({}, { kind: "anonymous" })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  const ctx = fixture.as(customer);
  const email = fixture.newEmail();
  await expect(listSentEmails({ ctx, input: listSentInput.parse({}) })).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(suppressEmail({ ctx, input: { email, reason: "manual" } })).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(unsuppressEmail({ ctx, input: { email } })).rejects.toMatchObject({ code: "FORBIDDEN" });
});
