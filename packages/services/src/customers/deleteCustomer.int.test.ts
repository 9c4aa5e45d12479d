import { generateKeyInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dieWhile } from "../../test/dyingProcess.ts";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { openMail, PASSWORD, signUp } from "../../test/signUp.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { creditWallet } from "../balance/creditWallet.ts";
import { closePeriod, getInvoice, readAccount, updateAccount } from "../billing/index.ts";
import { checkBooks } from "../checks/index.ts";
import { generateKey, hashKey, loadKeyRecord } from "../keys/index.ts";
import { track } from "../onboarding/index.ts";
import { ERASURE_STEPS } from "./erasure/steps.ts";
import type { ErasurePorts } from "./index.ts";
import {
  deleteCustomer,
  eraseCustomer,
  login,
  NO_ERASURE_PORTS,
  readErasure,
  readMe,
  refreshSession,
  sweepCustomers,
  updateCustomer,
} from "./index.ts";

let fixture: ServiceFixture;
const buried: Promise<void>[] = [];
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(async () => {
  await Promise.all(buried);
  await fixture.close();
});

const DAY_MS = 24 * 3_600_000;
const remove = (ctx: ReturnType<ServiceFixture["as"]>, force = false) => deleteCustomer({ ctx, input: { force } });
const erase = (customerId: string, ports = NO_ERASURE_PORTS) =>
  eraseCustomer({ ctx: fixture.as(SYSTEM), input: { customerId }, ports });

/** Somebody of whom there is something in every corner. */
async function newPerson() {
  const signedIn = await signUp(fixture);
  const { id } = signedIn.customer;
  const ctx = fixture.as(customerActor(id));
  const name = `Ann ${id.slice(4)}`;
  await updateCustomer({ ctx: fixture.as(OPERATOR), input: { id, name, meta: { [`shoe of ${name}`]: 41 } } });
  const me = await readMe({ ctx });
  const projectId = me.projects[0]?.id ?? "";
  const billingAccountId = me.billingAccounts[0]?.id ?? "";
  await creditWallet(fixture.as(SYSTEM), {
    billingAccountId,
    micros: micros(5_000_000),
    source: "paid",
    idempotencyKey: "top-up",
    reference: "Top-up",
    visible: true,
  });
  const key = await generateKey({
    ctx,
    input: generateKeyInput.parse({ projectId, name: `Key of ${name}`, allowedCidrs: ["203.0.113.77"] }),
  });
  await track({ ctx: fixture.as(), input: { id: newId("request"), referrer: "somewhere", email: signedIn.email } });
  await insertNews(id, { projectId, billingAccountId }, name);
  return { ...signedIn, id, name, ctx, projectId, billingAccountId, key };
}

/** What a person is told and wants to be told of: in the product, by rules with channels, and at their own URLs. */
async function insertNews(
  customerId: string,
  owned: { readonly projectId: string; readonly billingAccountId: string },
  name: string,
): Promise<void> {
  const { alertMessages, alertRules, alerts, notificationSubscriptions, notifications } = schema;
  const { webhookDeliveries, webhookEndpoints } = schema;
  const { db } = fixture.as();
  const createdAt = fixture.clock.now();
  const told = { text: `Hello ${name}`, createdAt };
  await db
    .insert(notifications)
    .values({ id: newId("notification"), customerId, eventId: newId("event"), type: "test", ...told });
  const resource = { resourceType: "project", resourceId: owned.projectId } as const;
  await db.insert(notificationSubscriptions).values({ customerId, ...resource, createdAt });
  for (const owner of [
    { projectId: owned.projectId, billingAccountId: null },
    { projectId: null, billingAccountId: owned.billingAccountId },
  ]) {
    const [ruleId, alertId, endpointId] = [newId("alertRule"), newId("alert"), newId("webhookEndpoint")];
    await db.insert(alertRules).values({
      ...{ id: ruleId, ...owner, name: `Warn ${name}`, kind: "noUsage", windowHours: 1, channelsSealed: "sealed" },
      ...{ state: "ok", createdAt, updatedAt: createdAt },
    });
    await db.insert(alerts).values({ id: alertId, ruleId, ...owner, title: `Warn ${name}`, ...told });
    await db.insert(alertMessages).values({
      ...{
        id: newId("alertMessage"),
        alertId,
        target: "hash",
        channelSealed: "sealed",
        title: `Warn ${name}`,
        ...told,
      },
      ...{ isResolved: false, status: "pending", nextAttemptAt: createdAt },
    });
    await db.insert(webhookEndpoints).values({
      ...{ id: endpointId, ...owner, url: `https://hooks.test/${name}`, description: name, events: ["*"] },
      ...{ status: "enabled", secretSealed: "sealed", createdAt, updatedAt: createdAt },
    });
    await db.insert(webhookDeliveries).values({
      ...{ id: newId("webhookDelivery"), endpointId, messageId: newId("event"), eventType: "test", payload: name },
      ...{ status: "pending", nextAttemptAt: createdAt, createdAt },
    });
  }
}
const eventsOf = async (field: string, value: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.kind, "event"));
  return rows.filter((row) => row.payload[field] === value).map((row) => row.name);
};
const jobsOf = async (customerId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "customers.erase"));
  return rows.filter((row) => row.payload["customerId"] === customerId).length;
};

describe("deleteCustomer", () => {
  test("stops sessions and keys at once, gives the address up, and says when the data goes", async () => {
    const person = await newPerson();
    const { erasedFrom } = await remove(person.ctx);
    expect(erasedFrom.getTime() - fixture.clock.nowMs()).toBe(30 * DAY_MS);
    const { refreshToken, email } = person;
    await expect(refreshSession({ ctx: fixture.as(), input: { refreshToken } })).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
    await expect(login({ ctx: fixture.as(), input: { email, password: PASSWORD } })).rejects.toMatchObject({
      reason: "wrong_credentials",
    });
    const record = await loadKeyRecord({ ctx: fixture.as(), input: { hash: hashKey(person.key.key) } });
    expect(record).toMatchObject({ status: "revoked" });
    expect(await eventsOf("keyId", person.key.id)).toContain("keys.revoked");
    expect(await openMail(fixture, email)).toContain("will be erased on 14 February 2026");
    fixture.clock.advanceMs(60_000);
    expect((await signUp(fixture, { email })).customer.id).not.toBe(person.id);
  });

  test("takes back what was to be mailed", async () => {
    const person = await newPerson();
    await remove(person.ctx);
    const { emails } = schema;
    const [welcome] = await fixture
      .as()
      .db.select()
      .from(emails)
      .where(eq(emails.idempotencyKey, `welcome:${person.id}`));
    expect(welcome).toMatchObject({ status: "cancelled", data: {} });
  });

  test("done again, also at once, changes nothing, and with force brings the erasure forward", async () => {
    const person = await newPerson();
    const answers = await Promise.all([remove(person.ctx), remove(person.ctx), remove(person.ctx)]);
    expect(new Set(answers.map((answer) => answer.erasedFrom.getTime())).size).toBe(1);
    expect((await eventsOf("customerId", person.id)).filter((name) => name === "customers.deleted")).toHaveLength(1);
    expect(await jobsOf(person.id)).toBe(0);
    fixture.clock.advanceMs(1_000);
    expect(await remove(person.ctx)).toEqual(answers[0]);
    expect((await remove(person.ctx, true)).erasedFrom).toEqual(fixture.clock.now());
    expect(await jobsOf(person.id)).toBe(1);
  });

  test("leaves projects that have another owner to them, with their keys", async () => {
    const [leaving, staying] = [await newPerson(), await newPerson()];
    const { projectMembers } = schema;
    const { db } = fixture.as();
    const now = fixture.clock.now();
    await db
      .insert(projectMembers)
      .values({ projectId: leaving.projectId, customerId: staying.id, role: "owner", createdAt: now });
    await remove(leaving.ctx);
    const record = await loadKeyRecord({ ctx: fixture.as(), input: { hash: hashKey(leaving.key.key) } });
    expect(record).toMatchObject({ status: "active", project: { isDeleted: false } });
    const members = await db.select().from(projectMembers).where(eq(projectMembers.projectId, leaving.projectId));
    expect(members.map((member) => member.customerId)).toEqual([staying.id]);
    expect(await eventsOf("projectId", leaving.projectId)).toContain("projects.memberLeft");
  });

  test("is for oneself and for operators: a stranger is as if they were not there", async () => {
    const [mine, theirs] = [await newPerson(), await newPerson()];
    for (const id of [theirs.id, newId("customer")]) {
      await expect(deleteCustomer({ ctx: mine.ctx, input: { id, force: true } })).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: "No such customer",
      });
    }
    await expect(remove(fixture.as())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    await deleteCustomer({ ctx: fixture.as(OPERATOR), input: { id: theirs.id, force: false } });
    expect(await eventsOf("customerId", theirs.id)).toContain("customers.deleted");
  });
});

describe("the erasure", () => {
  test("waits for its day, is ordered by the sweep when that comes, and leaves nothing of the person", async () => {
    const person = await newPerson();
    await remove(person.ctx);
    expect(await erase(person.id)).toBe("waiting");
    await sweepCustomers({ ctx: fixture.as(SYSTEM) });
    expect(await jobsOf(person.id)).toBe(0);
    fixture.clock.advanceMs(30 * DAY_MS);
    await sweepCustomers({ ctx: fixture.as(SYSTEM) });
    expect(await jobsOf(person.id)).toBe(1);
    expect(await erase(person.id)).toBe("erased");
    await expectNothingLeft(person);
    expect(await eventsOf("customerId", person.id)).toContain("customers.erased");
  });

  test("leaves invoices with their numbers and amounts, and with nobody's name or address", async () => {
    const person = await newPerson();
    const { billingAccountId } = person;
    const address = {
      line1: "1 Private Lane",
      line2: null,
      city: "Berlin",
      region: null,
      postalCode: "10115",
      country: "DE",
    };
    const party = { name: person.name, address, taxId: "DE123456789", invoiceEmail: person.email };
    await updateAccount({ ctx: fixture.as(OPERATOR), input: { billingAccountId, ...party } });
    await makeCalls(fixture, [
      {
        billingAccountId,
        projectId: person.projectId,
        endpointId: "ep_00000001",
        at: fixture.clock.now(),
        chargedMicros: micros(70),
      },
    ]);
    fixture.clock.advanceMs(40 * DAY_MS);
    const at = fixture.clock.now();
    const { invoice } = await closePeriod({ ctx: fixture.as(OPERATOR), input: { billingAccountId, at } });
    expect(invoice?.customer).toMatchObject({ name: person.name, address, email: person.email });
    await deleteCustomer({ ctx: fixture.as(OPERATOR), input: { id: person.id, force: true } });
    await erase(person.id);
    const read = { ctx: fixture.as(OPERATOR), input: { invoiceId: invoice?.id ?? "", format: "json" as const } };
    expect((await getInvoice(read)).invoice).toEqual({
      ...invoice,
      customer: { name: "Erased", address: null, taxId: null, email: null },
    });
    const account = await readAccount({ ctx: fixture.as(OPERATOR), input: { billingAccountId } });
    expect(account).toMatchObject({ name: "Erased", address: null, taxId: null, invoiceEmail: null });
  });

  test("keeps the books, and tells the operator of credit that nobody can spend any more", async () => {
    const person = await newPerson();
    await remove(person.ctx, true);
    await erase(person.id);
    const { steps, finishedAt } = await readErasure({ ctx: fixture.as(OPERATOR), input: { id: person.id } });
    expect(finishedAt).toEqual(fixture.clock.now());
    expect(steps.map(({ step, status }) => `${step}: ${status}`)).toEqual([
      "sessions: done",
      "keys: done",
      "usage: done",
      "webhooks: done",
      "alerts: done",
      "notifications: done",
      "balance: done",
      "audit: done",
      "projects: done",
      "payments: skipped",
      "analytics: skipped",
      "upstreams: skipped",
      "exports: done",
      "emails: done",
      "customer: done",
    ]);
    expect(steps.find((step) => step.step === "balance")?.detail).toEqual({
      accounts: 1,
      leftAlone: [person.billingAccountId],
      unspentMicros: { [person.billingAccountId]: "5000000" },
    });
    const { ledgerTransactions } = schema;
    const kept = await fixture
      .as()
      .db.select()
      .from(ledgerTransactions)
      .where(eq(ledgerTransactions.billingAccountId, person.billingAccountId));
    expect(kept).toHaveLength(1);
    const checks = await checkBooks({ ctx: fixture.as(SYSTEM) });
    expect(checks.filter((check) => !check.ok)).toEqual([]);
  });

  test("leaves alone what belongs to somebody who signed up with the address since", async () => {
    const person = await newPerson();
    await remove(person.ctx);
    fixture.clock.advanceMs(60_000);
    const again = await signUp(fixture, { email: person.email });
    fixture.clock.advanceMs(30 * DAY_MS);
    const forgotten: unknown[] = [];
    await erase(person.id, { ...NO_ERASURE_PORTS, analytics: async (_, subject) => void forgotten.push(subject) });
    expect(forgotten).toEqual([{ customerId: person.id, email: null }]);
    const { db } = fixture.as();
    const { emails, visits } = schema;
    const mails = await db.select().from(emails).where(eq(emails.recipient, person.email));
    expect(mails.map((mail) => mail.idempotencyKey)).toContain(`welcome:${again.customer.id}`);
    expect(mails.map((mail) => mail.idempotencyKey)).not.toContain(`welcome:${person.id}`);
    expect(await db.select().from(visits).where(eq(visits.email, person.email))).toHaveLength(1);
    await expect(
      login({ ctx: fixture.as(), input: { email: person.email, password: PASSWORD } }),
    ).resolves.toBeDefined();
  });

  test("reaches beyond the database until it succeeds, and notes each failure", async () => {
    const person = await newPerson();
    await remove(person.ctx, true);
    const called: string[] = [];
    const failures = [new Error("The provider is away"), new Error("The provider is still away")];
    const ports: ErasurePorts = {
      payments: async (_, { billingAccountIds }) => {
        called.push(`payments ${billingAccountIds}`);
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
      },
      analytics: async (_, { email }) => void called.push(`analytics ${email}`),
      upstreams: async (_, { projectIds }) => void called.push(`upstreams ${projectIds}`),
    };
    const stepOf = async (name: string) =>
      (await readErasure({ ctx: fixture.as(OPERATOR), input: { id: person.id } })).steps.find(
        (step) => step.step === name,
      );
    for (const attempts of [1, 2]) {
      await expect(erase(person.id, ports)).rejects.toThrow(/away/);
      expect(await stepOf("payments")).toMatchObject({
        status: "pending",
        attempts,
        lastError: attempts === 1 ? "The provider is away" : "The provider is still away",
      });
      expect(await stepOf("customer")).toMatchObject({ status: "pending" });
    }
    expect(await erase(person.id, ports)).toBe("erased");
    expect(await stepOf("payments")).toMatchObject({ status: "done", attempts: 3, lastError: null });
    const payments = `payments ${person.billingAccountId}`;
    expect(called).toEqual([
      payments,
      payments,
      payments,
      `analytics ${person.email}`,
      `upstreams ${person.projectId}`,
    ]);
  });

  test("run by several workers at once is done once", async () => {
    const person = await newPerson();
    await remove(person.ctx, true);
    await Promise.all([erase(person.id), erase(person.id), erase(person.id)]);
    expect((await eventsOf("customerId", person.id)).filter((name) => name === "customers.erased")).toHaveLength(1);
    await expectNothingLeft(person);
  });

  // One COMMIT that adds missing steps, and one for each step.
  const commits = Array.from({ length: ERASURE_STEPS.length + 1 }, (_, nth) => nth + 1);
  test.each(commits)("cut before and after its COMMIT number %i goes on where it was", async (commit) => {
    for (const moment of ["before", "after"] as const) {
      const person = await newPerson();
      await remove(person.ctx, true);
      const forgotten: string[] = [];
      const analytics: ErasurePorts["analytics"] = async (_, { customerId }) => void forgotten.push(customerId);
      const ports = { ...NO_ERASURE_PORTS, analytics };
      const input = { customerId: person.id };
      const death = await dieWhile(fixture, SYSTEM, { moment, commit }, (ctx) => eraseCustomer({ ctx, input, ports }));
      expect(death.hasDied).toBe(true);
      buried.push(death.buried);
      expect(await erase(person.id, ports)).toBe("erased");
      expect(new Set(forgotten)).toEqual(new Set([person.id]));
      expect((await eventsOf("customerId", person.id)).filter((name) => name === "customers.erased")).toHaveLength(1);
      await expectNothingLeft(person);
    }
  });

  test("is for workers alone to do, and for operators to watch", async () => {
    const person = await newPerson();
    const input = { customerId: person.id };
    const ports = NO_ERASURE_PORTS;
    await expect(eraseCustomer({ ctx: person.ctx, input, ports })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(eraseCustomer({ ctx: fixture.as(), input, ports })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    expect(await erase(person.id)).toBe("waiting");
    await expect(readErasure({ ctx: person.ctx, input: { id: person.id } })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    await expect(readErasure({ ctx: fixture.as(OPERATOR), input: { id: person.id } })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });
});

async function expectNothingLeft(person: Awaited<ReturnType<typeof newPerson>>): Promise<void> {
  const { db } = fixture.as();
  for (const [name, table] of Object.entries(schema)) {
    if (typeof table !== "object" || !("getSQL" in table)) continue;
    const text = JSON.stringify(await db.select().from(table), (_, value) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    for (const trace of [person.email, person.name]) {
      expect({ name, hasTrace: text.includes(trace) }).toEqual({ name, hasTrace: false });
    }
  }
  const { auditLog } = schema;
  const audits = await db
    .select()
    .from(auditLog)
    .where(eq(auditLog.actor, `customer:${person.id}`));
  expect(audits.length).toBeGreaterThan(0);
  expect(audits.map((row) => row.ip)).toEqual(audits.map(() => null));
  const { alertRules, notifications, webhookEndpoints } = schema;
  const isTheirs = (row: { projectId: string | null; billingAccountId: string | null }): boolean =>
    row.projectId === person.projectId || row.billingAccountId === person.billingAccountId;
  expect((await db.select().from(alertRules)).filter(isTheirs)).toEqual([]);
  expect(await db.select().from(notifications).where(eq(notifications.customerId, person.id))).toEqual([]);
  const endpoints = (await db.select().from(webhookEndpoints)).filter(isTheirs);
  expect(endpoints.map(({ status, secretSealed }) => ({ status, secretSealed }))).toEqual([
    { status: "disabled", secretSealed: "" },
    { status: "disabled", secretSealed: "" },
  ]);
  const { keys, projects } = schema;
  const [key] = await db.select().from(keys).where(eq(keys.id, person.key.id));
  expect(key).toMatchObject({ name: "erased", allowedCidrs: null, status: "revoked" });
  const [project] = await db.select().from(projects).where(eq(projects.id, person.projectId));
  expect(project).toMatchObject({ name: "Erased", deletedAt: expect.any(Date) });
}
