import { schema } from "@tollgate/db";
import { randomBase62, silentLogger } from "@tollgate/kernel";
import { count, eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ServiceFixture } from "../../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../../test/serviceFixture.ts";
import { readPublicApi } from "../../catalog/index.ts";
import { indexApis } from "../../catalog/listApis.ts";
import { deleteCustomer, eraseCustomer, NO_ERASURE_PORTS } from "../../customers/index.ts";
import { INTERNAL_DOMAIN } from "../../customers/internalAddress.ts";
import { readMe } from "../../customers/readMe.ts";
import { generateKey } from "../../keys/index.ts";
import { completeSignup, sendVerificationEmail } from "../../onboarding/index.ts";
import { readCurrent } from "../readCurrent.ts";
import {
  admitStranger,
  claimSelfTest,
  forgetStrangers,
  isDue,
  prepareSelfTest,
  recordSelfTest,
  SELF_TEST_API,
  SELF_TEST_EVERY_MS,
} from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  await fixture.as().db.delete(schema.statusSelfTests);
  fixture.clock.advanceMs(3_600_000);
});

const system = () => fixture.as(SYSTEM);
const newStranger = () => `stranger-${randomBase62(12).toLowerCase()}@${INTERNAL_DOMAIN}`;

/** Signs a stranger up as the walk does. */
async function signUp(email: string, projectId: string): Promise<string> {
  await sendVerificationEmail({ ctx: fixture.as(), input: { email } });
  const code = await admitStranger({ ctx: system(), input: { email, projectId } });
  const { customer } = await completeSignup({ ctx: fixture.as(), input: { email, code, password: randomBase62(24) } });
  return customer.id;
}

async function rowsOf(): Promise<Record<string, number>> {
  const { db } = fixture.as();
  const { auditLog, billingAccounts, customers, erasureSteps, erasures, keys, projectMembers, projects, sessions } =
    schema;
  const tables = {
    billingAccounts,
    customers,
    erasureSteps,
    erasures,
    keys,
    projectMembers,
    projects,
    sessions,
    auditLog,
  };
  const sizes: Record<string, number> = {};
  for (const [name, table] of Object.entries(tables)) {
    const [row] = await db.select({ rows: count() }).from(table);
    sizes[name] = row?.rows ?? 0;
  }
  return sizes;
}

test("of many workers one begins, and the next time is five minutes later, or one after a failure", async () => {
  const claimed = await Promise.all([1, 2, 3, 4].map(() => claimSelfTest({ ctx: system() })));
  const ids = claimed.filter((id) => id !== undefined);
  expect(ids).toHaveLength(1);
  const run = { startedAt: fixture.clock.now(), finishedAt: fixture.clock.now() };
  const after = (ms: number) => run.startedAt.getTime() + ms;
  expect(isDue({ ...run, hasPassed: true }, after(SELF_TEST_EVERY_MS - 1))).toBe(false);
  expect(isDue({ ...run, hasPassed: true }, after(SELF_TEST_EVERY_MS))).toBe(true);
  expect(isDue({ ...run, hasPassed: false }, after(60_000))).toBe(true);
  expect(isDue({ ...run, finishedAt: null, hasPassed: null }, after(60_000))).toBe(false);
  expect(isDue({ ...run, finishedAt: null, hasPassed: null }, after(SELF_TEST_EVERY_MS))).toBe(true);
});

test("what it walks on is made once, also at once, and nobody sees its API in the catalogue", async () => {
  const grounds = await Promise.all([prepareSelfTest({ ctx: system() }), prepareSelfTest({ ctx: system() })]);
  expect(await prepareSelfTest({ ctx: system() })).toEqual(grounds[0]);
  expect(grounds[1]).toEqual(grounds[0]);
  const listed = await indexApis({ ctx: fixture.as(), input: { limit: 200 } });
  expect(listed.items.map(({ name }) => name)).not.toContain(SELF_TEST_API);
  await expect(readPublicApi({ ctx: fixture.as(), input: { name: SELF_TEST_API } })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  const wallets = await fixture
    .as()
    .db.select()
    .from(schema.budgets)
    .where(eq(schema.budgets.billingAccountId, grounds[0].billingAccountId));
  expect(wallets.map(({ limitAmount }) => limitAmount)).toEqual([10_000_000n]);
});

test("a stranger comes with a code that nobody was mailed, into the one project, and walks leave nothing behind", async () => {
  const { projectId, billingAccountId } = await prepareSelfTest({ ctx: system() });
  const before = await rowsOf();
  for (let walk = 0; walk < 3; walk += 1) {
    const email = newStranger();
    const id = await signUp(email, projectId);
    const mails = await fixture.as().db.select().from(schema.emails).where(eq(schema.emails.recipient, email));
    expect(new Set(mails.map(({ status }) => status))).toEqual(new Set(["suppressed"]));
    const ctx = fixture.as(customerActor(id));
    expect(await readMe({ ctx })).toMatchObject({
      projects: [{ id: projectId, billingAccountId }],
      billingAccounts: [],
    });
    const key = { projectId, name: "Self-test", scopes: ["*"], mode: "live" as const };
    await generateKey({ ctx, input: key });
    await prepareSelfTest({ ctx: system() });
    await deleteCustomer({ ctx, input: { force: true } });
    await eraseCustomer({ ctx: system(), input: { customerId: id }, ports: NO_ERASURE_PORTS });
  }
  fixture.clock.advanceMs(25 * 3_600_000);
  expect(await forgetStrangers({ ctx: system() })).toEqual({ forgotten: 3 });
  expect(await rowsOf()).toEqual(before);
});

test("a stranger whose walk was cut off is deleted, and the host of all of them stays", async () => {
  const { projectId } = await prepareSelfTest({ ctx: system() });
  const id = await signUp(newStranger(), projectId);
  fixture.clock.advanceMs(11 * 60_000);
  await forgetStrangers({ ctx: system() });
  const internal = await fixture
    .as()
    .db.select({ id: schema.customers.id, status: schema.customers.status })
    .from(schema.customers)
    .where(eq(schema.customers.isInternal, true));
  expect(internal).toContainEqual({ id, status: "deleted" });
  expect(internal.filter(({ status }) => status === "verified")).toHaveLength(1);
});

test("it opens mails to the product's own people and to nobody else", async () => {
  const { projectId } = await prepareSelfTest({ ctx: system() });
  const email = fixture.newEmail();
  await sendVerificationEmail({ ctx: fixture.as(), input: { email } });
  await expect(admitStranger({ ctx: system(), input: { email, projectId } })).rejects.toThrow(INTERNAL_DOMAIN);
  const stranger = { email: newStranger(), projectId };
  await expect(admitStranger({ ctx: fixture.as(OPERATOR), input: stranger })).rejects.toMatchObject({
    code: "FORBIDDEN",
  });
  await expect(admitStranger({ ctx: system(), input: stranger })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("the verdict is a component, holds for seven minutes, and the first failure after a success is one alert", async () => {
  const ctx = { ...system(), logger: silentLogger };
  const finish = async (failure: { step: string; error: string } | null) => {
    const id = await claimSelfTest({ ctx });
    if (id === undefined) throw new Error("It is not due");
    const input = { id, steps: [{ name: "signUp", ms: 40 }], failure };
    await recordSelfTest({ ctx, input });
    await recordSelfTest({ ctx, input });
    fixture.clock.advanceMs(SELF_TEST_EVERY_MS);
  };
  const current = async () => {
    const { components, selfTest } = await readCurrent({ ctx: fixture.as() });
    return { state: components.find(({ name }) => name === "selfTest")?.state, selfTest };
  };
  expect(await current()).toEqual({ state: "unknown", selfTest: null });
  await finish(null);
  expect(await current()).toMatchObject({
    state: "up",
    selfTest: { hasPassed: true, failedStep: null, durationMs: 40 },
  });
  await finish({ step: "call", error: "The gateway answered 503" });
  expect(await current()).toMatchObject({ state: "degraded", selfTest: { hasPassed: false, failedStep: "call" } });
  await finish({ step: "call", error: "The gateway answered 503" });
  expect(await current()).toMatchObject({ state: "down" });
  await finish(null);
  expect(await current()).toMatchObject({ state: "up" });
  const alerts = await ctx.db.select().from(schema.alerts).where(eq(schema.alerts.title, "status: selfTestFailed"));
  expect(alerts.map(({ text }) => text)).toEqual(["At call: The gateway answered 503"]);
  fixture.clock.advanceMs(3 * 60_000);
  expect(await current()).toEqual({ state: "unknown", selfTest: null });
});
