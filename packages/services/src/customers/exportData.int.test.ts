import { generateKeyInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dieWhile } from "../../test/dyingProcess.ts";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, SYSTEM } from "../../test/serviceFixture.ts";
import { openMail, signUp } from "../../test/signUp.ts";
import { generateKey } from "../keys/index.ts";
import { deleteCustomer, exportCustomer, exportData, readExport, readMe, sweepCustomers } from "./index.ts";

let fixture: ServiceFixture;
const buried: Promise<void>[] = [];
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(async () => {
  await Promise.all(buried);
  await fixture.close();
});

const HOUR_MS = 3_600_000;
const run = (exportId: string, ctx = fixture.as(SYSTEM)) => exportCustomer({ ctx, input: { exportId } });
const download = (token: string) => readExport({ ctx: fixture.as(), input: { token } });
async function newPerson() {
  const signedIn = await signUp(fixture);
  return { ...signedIn, ctx: fixture.as(customerActor(signedIn.customer.id)) };
}
/** The token of the link that was mailed, and how many such mails there are. */
async function mailedLinks(email: string): Promise<{ token: string; count: number }> {
  const { emails } = schema;
  const rows = await fixture.as().db.select().from(emails).where(eq(emails.recipient, email));
  const count = rows.filter((row) => row.template === "exportReady").length;
  const token = /\/exports\/(tge_\w+)/.exec((await openMail(fixture, email)) ?? "")?.[1] ?? "";
  return { token, count };
}
const jobsOf = async (exportId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "customers.export"));
  return rows.filter((row) => row.payload["exportId"] === exportId).length;
};

test("a copy has what is held about the person, no secret, and nothing of anybody else", async () => {
  const [person, stranger] = [await newPerson(), await newPerson()];
  const projectId = (await readMe({ ctx: person.ctx })).projects[0]?.id ?? "";
  const key = await generateKey({ ctx: person.ctx, input: generateKeyInput.parse({ projectId, name: "mine" }) });
  const order = await exportData({ ctx: person.ctx });
  expect(order).toMatchObject({ status: "queued" });
  expect(await jobsOf(order.id)).toBe(1);
  expect(await run(order.id)).toEqual({ isReady: true });
  const text = await download((await mailedLinks(person.email)).token);
  const copy = JSON.parse(text);
  expect(copy).toMatchObject({
    format: "tollgate.export.1",
    customer: { id: person.customer.id, email: person.email },
    sessions: [{ ip: "192.0.2.7", userAgent: "tests" }],
    projects: [{ id: projectId, role: "owner", keys: [{ id: key.id, name: "mine" }] }],
    billingAccounts: [{ balanceMicros: "0" }],
  });
  expect(copy.emails.map((mail: { template: string }) => mail.template)).toContain("verification");
  expect(copy.audit.map((row: { action: string }) => row.action)).toContain("onboarding.completeSignup");
  for (const secret of [key.key, "argon2", "Hash", '"hash"', stranger.email, stranger.customer.id]) {
    expect(text).not.toContain(secret);
  }
});

test("the copy and its link are kept sealed and hashed, and the link ends after two days", async () => {
  const person = await newPerson();
  const order = await exportData({ ctx: person.ctx });
  await run(order.id);
  const { token } = await mailedLinks(person.email);
  const { customerExports } = schema;
  const [row] = await fixture.as().db.select().from(customerExports).where(eq(customerExports.id, order.id));
  expect(JSON.stringify(row)).not.toContain(token);
  expect(JSON.stringify(row)).not.toContain(person.email);
  fixture.clock.advanceMs(48 * HOUR_MS - 1);
  await expect(download(token)).resolves.toContain(person.email);
  fixture.clock.advanceMs(1);
  await expect(download(token)).rejects.toMatchObject({ code: "GONE", reason: "export_expired" });
  fixture.clock.advanceMs(24 * HOUR_MS);
  await sweepCustomers({ ctx: fixture.as(SYSTEM) });
  await expect(download(token)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(download("tge_made-up")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("orders at once are one order, and the next one is taken an hour later", async () => {
  const person = await newPerson();
  const orders = await Promise.all([1, 2, 3, 4].map(() => exportData({ ctx: person.ctx })));
  const [order] = orders;
  expect(new Set(orders.map((one) => one.id)).size).toBe(1);
  await run(order?.id ?? "");
  await expect(exportData({ ctx: person.ctx })).rejects.toMatchObject({
    reason: "export_too_soon",
    retryAfterSeconds: 3_600,
  });
  fixture.clock.advanceMs(HOUR_MS);
  expect((await exportData({ ctx: person.ctx })).id).not.toBe(order?.id);
});

test("a job that runs twice, also at once, makes one copy and one mail", async () => {
  const person = await newPerson();
  const { id } = await exportData({ ctx: person.ctx });
  await Promise.all([run(id), run(id), run(id)]);
  await run(id);
  expect((await mailedLinks(person.email)).count).toBe(1);
});

test.each(["before", "after"] as const)(
  "a worker that dies %s its COMMIT leaves one copy in the end",
  async (moment) => {
    const person = await newPerson();
    const { id } = await exportData({ ctx: person.ctx });
    const death = await dieWhile(fixture, SYSTEM, { moment, commit: 1 }, (ctx) => run(id, ctx));
    expect(death.hasDied).toBe(true);
    buried.push(death.buried);
    fixture.clock.advanceMs(60_000);
    await sweepCustomers({ ctx: fixture.as(SYSTEM) });
    // The sweep orders a copy again whose job has gone, and only such a one.
    expect(await jobsOf(id)).toBe(moment === "before" ? 2 : 1);
    await run(id);
    const { emails } = schema;
    const mails = await fixture.as().db.select().from(emails).where(eq(emails.recipient, person.email));
    expect(mails.filter((mail) => mail.template === "exportReady")).toHaveLength(1);
  },
);

test("nothing is put together for somebody who is gone by then, and nobody orders for somebody else", async () => {
  const person = await newPerson();
  const { id } = await exportData({ ctx: person.ctx });
  await deleteCustomer({ ctx: person.ctx, input: { force: false } });
  expect(await run(id)).toEqual({ isReady: false });
  expect((await mailedLinks(person.email)).count).toBe(0);
  await expect(exportData({ ctx: fixture.as() })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  await expect(run(id, person.ctx)).rejects.toMatchObject({ code: "FORBIDDEN" });
});
