import { schema, withTransaction } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import type { MailTransport, OutgoingMail } from "./index.ts";
import { MailRejectedError, sendEmail, sweepDueEmails } from "./index.ts";
import { queueEmail } from "./queueEmail.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

/** A transport that keeps what it is given, and fails as told. */
class RecordingTransport implements MailTransport {
  readonly sent: OutgoingMail[] = [];
  readonly failures: Error[] = [];
  async send(mail: OutgoingMail): Promise<void> {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.sent.push(mail);
  }
  async close(): Promise<void> {}
}

async function queue(options: { sendAt?: Date; idempotencyKey?: string } = {}): Promise<string> {
  const { idempotencyKey = newId("email"), ...rest } = options;
  await withTransaction(fixture.as(SYSTEM), (ctx) =>
    queueEmail(ctx, {
      template: "verification",
      to: "someone@example.test",
      data: { code: "K7QX2M9P", minutes: 5 },
      idempotencyKey,
      ...rest,
    }),
  );
  const [row] = await fixture
    .as()
    .db.select({ id: schema.emails.id })
    .from(schema.emails)
    .where(eq(schema.emails.idempotencyKey, idempotencyKey));
  if (row === undefined) throw new Error("The mail was not queued");
  return row.id;
}
const read = async (id: string) => {
  const [row] = await fixture.as().db.select().from(schema.emails).where(eq(schema.emails.id, id));
  return row;
};
const jobsFor = async (id: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "emails.send"));
  return rows.filter((row) => row.payload["emailId"] === id).length;
};
const send = (emailId: string, transport: MailTransport, ctx = fixture.as(SYSTEM)) =>
  sendEmail({ ctx, input: { emailId }, transport });

test("a mail is queued once for a key, with one job, and its data is sealed", async () => {
  const id = await queue({ idempotencyKey: "once" });
  expect(await queue({ idempotencyKey: "once" })).toBe(id);
  expect(await jobsFor(id)).toBe(1);
  expect(JSON.stringify(await read(id))).not.toContain("K7QX2M9P");
});

test("a mail of a transaction that rolls back is never sent", async () => {
  const failing = withTransaction(fixture.as(SYSTEM), async (ctx) => {
    await queueEmail(ctx, {
      template: "alreadyRegistered",
      to: "someone@example.test",
      data: {},
      idempotencyKey: "rolled back",
    });
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  const { db } = fixture.as();
  expect(await db.select().from(schema.emails).where(eq(schema.emails.idempotencyKey, "rolled back"))).toEqual([]);
});

test("workers that send the same mail at once send it once, and its data is erased", async () => {
  const id = await queue();
  const transport = new RecordingTransport();
  const outcomes = await Promise.all([
    send(id, transport),
    send(id, transport, fixture.otherProcess(SYSTEM)),
    send(id, transport),
  ]);
  expect(outcomes.toSorted()).toEqual(["sent", "skipped", "skipped"]);
  expect(transport.sent).toEqual([
    expect.objectContaining({
      to: "someone@example.test",
      subject: "K7QX2M9P is your verification code",
      messageId: `<${id}@api.example.test>`,
    }),
  ]);
  expect(await read(id)).toMatchObject({ status: "sent", sentAt: fixture.clock.now(), data: {}, claimedUntil: null });
  expect(await send(id, transport)).toBe("skipped");
});

test("a mail that could not be sent is tried again later, at growing intervals, and fails after a day or two", async () => {
  const id = await queue();
  const transport = new RecordingTransport();
  const waits: number[] = [];
  for (;;) {
    transport.failures.push(new Error("connection refused"));
    const outcome = await send(id, transport);
    if (outcome === "failed") break;
    expect(outcome).toBe("deferred");
    const row = await read(id);
    const waitMs = (row?.sendAt.getTime() ?? 0) - fixture.clock.nowMs();
    expect(waitMs).toBeGreaterThan(waits.at(-1) ?? 0);
    expect(row).toMatchObject({ status: "queued", lastError: "connection refused", claimedUntil: null });
    transport.failures.length = 0;
    expect(await send(id, transport)).toBe("skipped");
    waits.push(waitMs);
    fixture.clock.advanceMs(waitMs);
  }
  expect(waits).toHaveLength(9);
  expect(await read(id)).toMatchObject({ status: "failed", attempts: 10 });
  expect(transport.sent).toEqual([]);
});

test("a mail that was refused for good is not tried again", async () => {
  const id = await queue();
  const transport = new RecordingTransport();
  transport.failures.push(new MailRejectedError("no such mailbox"));
  expect(await send(id, transport)).toBe("failed");
  expect(await read(id)).toMatchObject({ status: "failed", lastError: "no such mailbox" });
});

test("a mail that a worker took to its death is ordered again when its claim has run out, and then sent", async () => {
  const id = await queue();
  const transport = new RecordingTransport();
  const dying = new Promise<void>(() => {});
  let noteClaimed = (): void => undefined;
  const claimed = new Promise<void>((resolve) => {
    noteClaimed = resolve;
  });
  // This worker never comes back from the transport.
  void send(id, {
    send: () => {
      noteClaimed();
      return dying;
    },
    close: async () => {},
  });
  await claimed;
  fixture.clock.advanceMs(60_000);
  await sweepDueEmails({ ctx: fixture.as(SYSTEM) });
  expect(await jobsFor(id)).toBe(1);
  fixture.clock.advanceMs(60_000);
  await sweepDueEmails({ ctx: fixture.as(SYSTEM) });
  expect(await jobsFor(id)).toBe(2);
  expect(await send(id, transport)).toBe("sent");
});

test("the sweep orders a mail for later when it is due, and leaves fresh and sent ones alone", async () => {
  const later = await queue({ sendAt: new Date(fixture.clock.nowMs() + 3_600_000) });
  const sent = await queue();
  await send(sent, new RecordingTransport());
  expect(await jobsFor(later)).toBe(0);
  expect(await send(later, new RecordingTransport())).toBe("skipped");
  await sweepDueEmails({ ctx: fixture.as(SYSTEM) });
  expect(await jobsFor(later)).toBe(0);
  fixture.clock.advanceMs(3_600_000);
  const fresh = await queue();
  await sweepDueEmails({ ctx: fixture.as(SYSTEM) });
  expect([await jobsFor(later), await jobsFor(sent), await jobsFor(fresh)]).toEqual([1, 1, 1]);
});

test("only workers send mails", async () => {
  const input = { emailId: newId("email") };
  const transport = new RecordingTransport();
  await expect(sendEmail({ ctx: fixture.as(OPERATOR), input, transport })).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(sweepDueEmails({ ctx: fixture.as() })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});
