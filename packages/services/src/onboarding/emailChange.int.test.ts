import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR } from "../../test/serviceFixture.ts";
import { openMail, PASSWORD, readCode, signUp } from "../../test/signUp.ts";
import { banCustomer, deleteCustomer, login } from "../customers/index.ts";
import { confirmEmailChange, recover, requestEmailChange, resetPassword, sendVerificationEmail } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

async function newPerson() {
  const signedIn = await signUp(fixture);
  const ctx = fixture.as(customerActor(signedIn.customer.id));
  return {
    ...signedIn,
    ctx,
    request: (email: string) => requestEmailChange({ ctx, input: { email } }),
    confirm: (email: string, code: string) => confirmEmailChange({ ctx, input: { email, code } }),
  };
}
const signIn = (email: string) => login({ ctx: fixture.as(), input: { email, password: PASSWORD } });
const eventsOf = async (customerId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "customers.updated"));
  return rows.filter((row) => row.payload["customerId"] === customerId).map((row) => row.payload["fields"]);
};

test("the code goes to the new address and a notice to the old, and with the code the account moves", async () => {
  const person = await newPerson();
  const wanted = fixture.newEmail();
  expect(await person.request(wanted)).toEqual({ expiresInSeconds: 900, resendAfterSeconds: 60 });
  expect(await openMail(fixture, person.email)).toContain(wanted);
  const code = await readCode(fixture, wanted);
  expect(await person.confirm(wanted, code)).toMatchObject({ id: person.customer.id, email: wanted });
  expect(await person.confirm(wanted, code)).toMatchObject({ email: wanted });
  expect(await openMail(fixture, person.email)).toContain(`now belongs to ${wanted}`);
  await expect(signIn(wanted)).resolves.toBeDefined();
  await expect(signIn(person.email)).rejects.toMatchObject({ reason: "wrong_credentials" });
  expect(await eventsOf(person.customer.id)).toEqual([["email"]]);
  const { emails } = schema;
  const [welcome] = await fixture
    .as()
    .db.select()
    .from(emails)
    .where(eq(emails.idempotencyKey, `welcome:${person.customer.id}`));
  expect(welcome?.recipient).toBe(wanted);
});

test("an address that has an account is told so, and the one who asks is not", async () => {
  const [person, other] = [await newPerson(), await newPerson()];
  expect(await person.request(other.email)).toEqual({ expiresInSeconds: 900, resendAfterSeconds: 60 });
  expect(await openMail(fixture, other.email)).toContain("has an account already");
  await expect(person.confirm(other.email, "22222222")).rejects.toMatchObject({ reason: "invalid_code" });
});

test("a banned mailbox cannot be moved to", async () => {
  const [person, banned] = [await newPerson(), await newPerson()];
  await banCustomer({ ctx: fixture.as(OPERATOR), input: { id: banned.customer.id, reason: "fraud" } });
  await deleteCustomer({ ctx: fixture.as(OPERATOR), input: { id: banned.customer.id, force: true } });
  await person.request(banned.email);
  expect(await openMail(fixture, banned.email)).toBeUndefined();
});

test("of two who prove one address at once, one has it", async () => {
  const [one, other] = [await newPerson(), await newPerson()];
  const wanted = fixture.newEmail();
  await one.request(wanted);
  const first = await readCode(fixture, wanted);
  await other.request(wanted);
  const second = await readCode(fixture, wanted);
  const outcomes = await Promise.allSettled([one.confirm(wanted, first), other.confirm(wanted, second)]);
  expect(outcomes.map((outcome) => outcome.status).toSorted()).toEqual(["fulfilled", "rejected"]);
  const refused = outcomes.find((outcome) => outcome.status === "rejected");
  expect(refused?.reason).toMatchObject({ code: "CONFLICT", reason: "email_taken" });
});

test("somebody who began to sign up with an address and never proved it does not keep it from its owner", async () => {
  const person = await newPerson();
  const wanted = fixture.newEmail();
  await sendVerificationEmail({ ctx: fixture.as(), input: { email: wanted } });
  await readCode(fixture, wanted);
  await person.request(wanted);
  await person.confirm(wanted, await readCode(fixture, wanted));
  await expect(signIn(wanted)).resolves.toBeDefined();
});

test("a code answers five guesses, is the requester's alone, and expires", async () => {
  const [person, thief] = [await newPerson(), await newPerson()];
  const wanted = fixture.newEmail();
  await person.request(wanted);
  const code = await readCode(fixture, wanted);
  await expect(thief.confirm(wanted, code)).rejects.toMatchObject({ reason: "invalid_code" });
  for (let guess = 0; guess < 5; guess += 1) {
    await expect(person.confirm(wanted, "22222222")).rejects.toMatchObject({ reason: "invalid_code" });
  }
  await expect(person.confirm(wanted, code)).rejects.toMatchObject({ reason: "invalid_code" });
  const late = fixture.newEmail();
  await person.request(late);
  const lateCode = await readCode(fixture, late);
  fixture.clock.advanceMs(15 * 60_000);
  await expect(person.confirm(late, lateCode)).rejects.toMatchObject({ reason: "invalid_code" });
});

test("a reset of the password stops a change that somebody else began, and a change stops an old recovery link", async () => {
  const person = await newPerson();
  const [wanted, next] = [fixture.newEmail(), fixture.newEmail()];
  const linkFor = async (email: string) => {
    await recover({ ctx: fixture.as(), input: { email } });
    return /token=(\S+)/.exec((await openMail(fixture, email)) ?? "")?.[1] ?? "";
  };
  await person.request(wanted);
  const code = await readCode(fixture, wanted);
  await openMail(fixture, person.email);
  const token = await linkFor(person.email);
  await resetPassword({ ctx: fixture.as(), input: { token, password: "nine blue alpacas" } });
  await expect(person.confirm(wanted, code)).rejects.toMatchObject({ reason: "invalid_code" });
  fixture.clock.advanceMs(60_000);
  const old = await linkFor(person.email);
  await person.request(next);
  await person.confirm(next, await readCode(fixture, next));
  await expect(
    resetPassword({ ctx: fixture.as(), input: { token: old, password: "ten black goats" } }),
  ).rejects.toMatchObject({ reason: "invalid_recovery_token" });
});

test("nobody mails strangers over and over by it", async () => {
  const person = await newPerson();
  for (let nth = 0; nth < 5; nth += 1) await person.request(fixture.newEmail());
  await expect(person.request(fixture.newEmail())).rejects.toMatchObject({ reason: "too_many_attempts" });
  const other = await newPerson();
  const wanted = fixture.newEmail();
  await other.request(wanted);
  await expect(other.request(wanted)).rejects.toMatchObject({ reason: "resend_too_soon" });
});

test("is for those who are signed in, and for another address than the present one", async () => {
  const person = await newPerson();
  await expect(person.request(person.email)).rejects.toMatchObject({ reason: "same_email" });
  const input = { email: fixture.newEmail() };
  await expect(requestEmailChange({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  const gone = fixture.as(customerActor(newId("customer")));
  await expect(requestEmailChange({ ctx: gone, input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});
