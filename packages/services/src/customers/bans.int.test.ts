import { generateKeyInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq, inArray } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR } from "../../test/serviceFixture.ts";
import { openMail, PASSWORD, signUp } from "../../test/signUp.ts";
import { blockKeys, generateKey, hashKey, loadKeyRecord, revokeKey, unblockKeys } from "../keys/index.ts";
import { sendVerificationEmail } from "../onboarding/index.ts";
import { banCustomer, deleteCustomer, login, readMe, refreshSession, unbanCustomer } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const ban = (id: string, ctx = fixture.as(OPERATOR)) => banCustomer({ ctx, input: { id, reason: "fraud" } });
const unban = (id: string) => unbanCustomer({ ctx: fixture.as(OPERATOR), input: { id } });

/** A customer with so many keys in their first project. */
async function newOwner(keysMade: number) {
  const signedIn = await signUp(fixture);
  const ctx = fixture.as(customerActor(signedIn.customer.id));
  const projectId = (await readMe({ ctx })).projects[0]?.id ?? "";
  const keys: { id: string; key: string }[] = [];
  for (let made = 0; made < keysMade; made += 1) {
    keys.push(await generateKey({ ctx, input: generateKeyInput.parse({ projectId }) }));
  }
  return { ...signedIn, id: signedIn.customer.id, ctx, projectId, keys };
}

async function statusesOf(ids: readonly string[]): Promise<string[]> {
  const { keys } = schema;
  const rows = await fixture
    .as()
    .db.select()
    .from(keys)
    .where(inArray(keys.id, [...ids]));
  const byId = new Map(rows.map((row) => [row.id, row.status]));
  return ids.map((id) => byId.get(id) ?? "absent");
}

async function eventsAbout(field: string, value: string): Promise<string[]> {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.kind, "event"));
  return rows.filter((row) => row.payload[field] === value).map((row) => row.name);
}

test("a ban ends every session and blocks every key, with events by which gateways drop them", async () => {
  const owner = await newOwner(2);
  expect(await ban(owner.id)).toMatchObject({ status: "banned" });
  await expect(
    refreshSession({ ctx: fixture.as(), input: { refreshToken: owner.refreshToken } }),
  ).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  await expect(login({ ctx: fixture.as(), input: { email: owner.email, password: PASSWORD } })).rejects.toMatchObject({
    reason: "customer_banned",
  });
  for (const { id, key } of owner.keys) {
    const record = await loadKeyRecord({ ctx: fixture.as(), input: { hash: hashKey(key) } });
    expect(record).toMatchObject({ status: "blocked", blockedMessage: expect.stringContaining("banned") });
    expect(await eventsAbout("keyId", id)).toContain("keys.blocked");
  }
});

test("banning or lifting twice, also at once, does it once", async () => {
  const owner = await newOwner(1);
  await Promise.all([ban(owner.id), ban(owner.id), ban(owner.id)]);
  await Promise.all([unban(owner.id), unban(owner.id), unban(owner.id)]);
  const events = await eventsAbout("customerId", owner.id);
  expect(events.filter((name) => name === "customers.banned")).toHaveLength(1);
  expect(events.filter((name) => name === "customers.unbanned")).toHaveLength(1);
  expect(await statusesOf(owner.keys.map((key) => key.id))).toEqual(["active"]);
  await expect(login({ ctx: fixture.as(), input: { email: owner.email, password: PASSWORD } })).resolves.toBeDefined();
});

test("lifting a ban gives back what it took, and nothing else", async () => {
  const owner = await newOwner(5);
  const [free, blockedBefore, blockedSince, freedSince, revoked] = owner.keys.map((key) => key.id);
  const operator = fixture.as(OPERATOR);
  await revokeKey({ ctx: owner.ctx, input: { id: revoked ?? "" } });
  await blockKeys({ ctx: operator, input: { keyId: blockedBefore, message: "Abuse" } });
  await ban(owner.id);
  await blockKeys({ ctx: operator, input: { keyId: blockedSince, message: "Abuse" } });
  await unblockKeys({ ctx: operator, input: { keyId: freedSince } });
  await blockKeys({ ctx: operator, input: { keyId: freedSince, message: "Abuse again" } });
  await unban(owner.id);
  expect(await statusesOf([free, blockedBefore, blockedSince, freedSince, revoked].map((id) => id ?? ""))).toEqual([
    "active",
    "blocked",
    "blocked",
    "blocked",
    "revoked",
  ]);
});

test("a project's keys work again only when the bans of all its owners are lifted", async () => {
  const [one, other] = [await newOwner(1), await newOwner(0)];
  await fixture
    .as()
    .db.insert(schema.projectMembers)
    .values({ projectId: one.projectId, customerId: other.id, role: "owner", createdAt: fixture.clock.now() });
  const keyIds = one.keys.map((key) => key.id);
  await ban(one.id);
  await ban(other.id);
  await unban(one.id);
  expect(await statusesOf(keyIds)).toEqual(["blocked"]);
  await unban(other.id);
  expect(await statusesOf(keyIds)).toEqual(["active"]);
});

test("no key slips through that is made while the ban comes, by a token that is still good", async () => {
  for (let round = 0; round < 6; round += 1) {
    const owner = await newOwner(0);
    const making = Array.from({ length: 4 }, () =>
      generateKey({ ctx: owner.ctx, input: generateKeyInput.parse({ projectId: owner.projectId }) }),
    );
    const [, ...made] = await Promise.allSettled([ban(owner.id), ...making]);
    const ids = made.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.id] : []));
    expect(new Set(await statusesOf(ids))).toEqual(new Set(ids.length === 0 ? [] : ["blocked"]));
    const late = generateKey({ ctx: owner.ctx, input: generateKeyInput.parse({ projectId: owner.projectId }) });
    await expect(late).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  }
});

test("nobody signs up again with a banned mailbox, however it is spelled, also after the account is deleted", async () => {
  const name = `p${newId("customer").slice(4, 16).toLowerCase()}`;
  const banned = await signUp(fixture, { email: `${name}@gmail.com` });
  await ban(banned.customer.id);
  const ask = async (email: string) => {
    fixture.clock.advanceMs(60_000);
    await sendVerificationEmail({ ctx: fixture.as(), input: { email } });
    return openMail(fixture, email);
  };
  const others = [`${name}+again@gmail.com`, `${name.slice(0, 2)}.${name.slice(2)}@googlemail.com`];
  for (const email of [`${name}@gmail.com`, ...others]) expect(await ask(email)).toBeUndefined();
  await deleteCustomer({ ctx: fixture.as(OPERATOR), input: { id: banned.customer.id, force: true } });
  expect(await ask(`${name}@gmail.com`)).toBeUndefined();
  await unban(banned.customer.id);
  expect(await ask(`${name}@gmail.com`)).toContain("verification code");
});

test("bans are the operators', who neither ban themselves nor the deleted", async () => {
  const owner = await newOwner(0);
  await expect(ban(owner.id, owner.ctx)).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(ban(owner.id, fixture.as())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  await expect(ban(newId("customer"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  const operator = fixture.as({
    kind: "customer",
    customerId: owner.id,
    sessionId: newId("session"),
    isOperator: true,
  });
  await expect(ban(owner.id, operator)).rejects.toMatchObject({ reason: "own_account" });
  await deleteCustomer({ ctx: owner.ctx, input: { force: false } });
  await expect(ban(owner.id)).rejects.toMatchObject({ reason: "customer_deleted" });
});
