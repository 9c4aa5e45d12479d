import { completeSignupInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, SYSTEM } from "../../test/serviceFixture.ts";
import { mailedCode, openMail, PASSWORD, readCode, signUp } from "../../test/signUp.ts";
import { createCustomer, login, markVerified, readMe } from "../customers/index.ts";
import { completeSignup, sendVerificationEmail } from "./index.ts";
import { CODE_ALPHABET } from "./verificationCode.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const MINUTE_MS = 60_000;
const ask = (email: string, ctx = fixture.as()) => sendVerificationEmail({ ctx, input: { email } });
const complete = (email: string, code: string, password = PASSWORD, ctx = fixture.as()) =>
  completeSignup({ ctx, input: { email, code, password } });
const mailsTo = (email: string) =>
  fixture.as().db.select().from(schema.emails).where(eq(schema.emails.recipient, email));
const customerOf = async (email: string) => {
  const [row] = await fixture.as().db.select().from(schema.customers).where(eq(schema.customers.email, email));
  if (row === undefined) throw new Error(`Nobody has ${email}`);
  return row;
};
/** A code that is not the right one. */
const wrongCode = (right: string, nth = 0): string => {
  const other = CODE_ALPHABET[(CODE_ALPHABET.indexOf(right.charAt(0)) + 1 + nth) % CODE_ALPHABET.length] ?? "";
  return other + right.slice(1);
};

describe("sendVerificationEmail", () => {
  test("mails a code of 8 characters and makes one unverified customer", async () => {
    const email = fixture.newEmail();
    expect(await ask(email)).toEqual({ expiresInSeconds: 300, resendAfterSeconds: 60 });
    expect(await readCode(fixture, email)).toMatch(/^[2-9B-DF-HJ-NP-TV-XZ]{8}$/);
    expect(await customerOf(email)).toMatchObject({ status: "unverified" });
  });

  test("keeps the code nowhere in the clear", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    const { db } = fixture.as();
    for (const table of [schema.verifications, schema.emails, schema.outbox, schema.auditLog]) {
      expect(JSON.stringify(await db.select().from(table))).not.toContain(code);
    }
  });

  test("queues one mail a minute for an address, however many processes are asked at once", async () => {
    const email = fixture.newEmail();
    const asked = await Promise.allSettled([
      ...Array.from({ length: 5 }, () => ask(email)),
      ...Array.from({ length: 5 }, () => ask(email, fixture.otherProcess())),
    ]);
    expect(asked.filter((answer) => answer.status === "fulfilled")).toHaveLength(1);
    for (const answer of asked) {
      if (answer.status === "rejected") {
        expect(answer.reason).toMatchObject({ code: "TOO_MANY_REQUESTS", reason: "resend_too_soon" });
      }
    }
    expect(await mailsTo(email)).toHaveLength(1);
    fixture.clock.advanceMs(MINUTE_MS - 1);
    await expect(ask(email)).rejects.toMatchObject({ retryAfterSeconds: 1 });
    fixture.clock.advanceMs(1);
    await ask(email);
    expect(await mailsTo(email)).toHaveLength(2);
  });

  test("answers and pauses the same for an unknown, a known and a banned address", async () => {
    const known = (await signUp(fixture)).email;
    const banned = (await signUp(fixture)).email;
    await fixture.as().db.update(schema.customers).set({ status: "banned" }).where(eq(schema.customers.email, banned));
    const unknown = fixture.newEmail();
    fixture.clock.advanceMs(MINUTE_MS);
    for (const email of [unknown, known, banned]) {
      expect(await ask(email)).toEqual({ expiresInSeconds: 300, resendAfterSeconds: 60 });
      await expect(ask(email)).rejects.toMatchObject({ reason: "resend_too_soon", retryAfterSeconds: 60 });
    }
    expect(await openMail(fixture, known)).toContain("You already have an account");
    expect(await openMail(fixture, banned)).toBeUndefined();
  });

  test("a new code replaces the one before", async () => {
    const email = fixture.newEmail();
    const first = await mailedCode(fixture, email);
    fixture.clock.advanceMs(MINUTE_MS);
    const second = await mailedCode(fixture, email);
    await expect(complete(email, first)).rejects.toMatchObject({ reason: "invalid_code" });
    await expect(complete(email, second)).resolves.toMatchObject({ customer: { status: "verified" } });
  });
});

describe("completeSignup", () => {
  test("verifies the customer and gives them a project, a billing account on the free tier and an empty wallet", async () => {
    const { customer, accessToken, refreshToken, expiresAt } = await signUp(fixture);
    expect(customer.status).toBe("verified");
    expect(refreshToken).toMatch(/^tgr_/);
    expect(expiresAt.getTime() - fixture.clock.nowMs()).toBe(15 * MINUTE_MS);
    const claims = await fixture.as().tokenIssuer.verifyAccessToken(accessToken);
    expect(claims).toMatchObject({ customerId: customer.id, isOperator: false });
    const me = await readMe({ ctx: fixture.as({ kind: "customer", ...claims }) });
    expect(me.projects).toEqual([expect.objectContaining({ name: "Default", role: "owner" })]);
    expect(me.billingAccounts).toEqual([expect.objectContaining({ tierId: "free" })]);
    const billingAccountId = me.billingAccounts[0]?.id ?? "";
    const budgets = await fixture
      .as()
      .db.select()
      .from(schema.budgets)
      .where(eq(schema.budgets.billingAccountId, billingAccountId));
    expect(budgets).toEqual([
      expect.objectContaining({ id: `wallet:${billingAccountId}`, kind: "wallet", limitAmount: 0n, overdraft: 0n }),
    ]);
    const events = await fixture.as().db.select().from(schema.outbox);
    const names = events.flatMap((row) => (row.payload["customerId"] === customer.id ? [row.name] : []));
    expect(names.toSorted()).toEqual([
      "customers.created",
      "customers.signedUp",
      "customers.verified",
      "projects.created",
    ]);
  });

  test("run many times at once with the same code makes exactly one project, and signs in each time", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    const contexts = Array.from({ length: 8 }, (_, at) => (at % 2 === 0 ? fixture.as() : fixture.otherProcess()));
    const answers = await Promise.all(contexts.map((ctx) => complete(email, code, PASSWORD, ctx)));
    const { id } = await customerOf(email);
    expect(new Set(answers.map((answer) => answer.customer.id))).toEqual(new Set([id]));
    expect(new Set(answers.map((answer) => answer.refreshToken)).size).toBe(8);
    const { db } = fixture.as();
    const { projectMembers, billingAccountAdmins, outbox } = schema;
    expect(await db.select().from(projectMembers).where(eq(projectMembers.customerId, id))).toHaveLength(1);
    expect(await db.select().from(billingAccountAdmins).where(eq(billingAccountAdmins.customerId, id))).toHaveLength(1);
    const signedUp = await db.select().from(outbox).where(eq(outbox.name, "customers.signedUp"));
    expect(signedUp.filter((row) => row.payload["customerId"] === id)).toHaveLength(1);
  });

  test("repeated with another password is refused and changes nothing", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    await complete(email, code);
    await expect(complete(email, code, "another fine password")).rejects.toMatchObject({ reason: "invalid_code" });
    await expect(login({ ctx: fixture.as(), input: { email, password: PASSWORD } })).resolves.toBeDefined();
    fixture.clock.advanceMs(5 * MINUTE_MS);
    await expect(complete(email, code)).rejects.toMatchObject({ reason: "invalid_code" });
  });

  test("takes the code in any case and with spaces or dashes", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    const typed = ` ${code.slice(0, 4).toLowerCase()}-${code.slice(4)} `;
    const input = completeSignupInput.parse({ email: ` ${email.toUpperCase()}`, code: typed, password: PASSWORD });
    await expect(completeSignup({ ctx: fixture.as(), input })).resolves.toMatchObject({ customer: { email } });
  });

  test("answers five wrong guesses, and then the right code is dead", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    for (let guess = 0; guess < 5; guess += 1) {
      await expect(complete(email, wrongCode(code, guess))).rejects.toMatchObject({
        code: "BAD_REQUEST",
        reason: "invalid_code",
        issues: [{ path: "code" }],
      });
    }
    await expect(complete(email, code)).rejects.toMatchObject({ reason: "invalid_code" });
    expect(await customerOf(email)).toMatchObject({ status: "unverified" });
  });

  test("counts wrong guesses exactly when they come all at once", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    const guesses = Array.from({ length: 12 }, (_, nth) => complete(email, wrongCode(code, nth)));
    for (const answer of await Promise.allSettled(guesses)) {
      expect(answer).toMatchObject({ status: "rejected", reason: { reason: "invalid_code" } });
    }
    const [row] = await fixture
      .as()
      .db.select()
      .from(schema.verifications)
      .where(and(eq(schema.verifications.email, email), eq(schema.verifications.purpose, "signup")));
    expect(row?.attempts).toBe(5);
    await expect(complete(email, code)).rejects.toMatchObject({ reason: "invalid_code" });
  });

  test("the right code does not use up guesses, and expires after five minutes", async () => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    for (let repetition = 0; repetition < 7; repetition += 1) await complete(email, code);
    const late = fixture.newEmail();
    const lateCode = await mailedCode(fixture, late);
    fixture.clock.advanceMs(5 * MINUTE_MS);
    await expect(complete(late, lateCode)).rejects.toMatchObject({ reason: "invalid_code" });
  });

  test.each(["password123", "qwertyuiop", "aaaaaaaaaaaa", "PassWord1234"])(
    "refuses the common password %s and names the field",
    async (password) => {
      await expect(complete(fixture.newEmail(), "22222222", password)).rejects.toMatchObject({
        code: "BAD_REQUEST",
        reason: "common_password",
        issues: [{ path: "password" }],
      });
    },
  );

  test("a code of one address does not open another, and an address without a code has the same answer", async () => {
    const [one, other] = [fixture.newEmail(), fixture.newEmail()];
    const code = await mailedCode(fixture, one);
    await mailedCode(fixture, other);
    const theirs = await complete(other, code).catch((error: Error) => error.message);
    const unknown = await complete(fixture.newEmail(), code).catch((error: Error) => error.message);
    expect(theirs).toBe(unknown);
  });

  test("neither lifts a ban nor replaces the password of a customer who has one", async () => {
    const banned = fixture.newEmail();
    const code = await mailedCode(fixture, banned);
    await fixture.as().db.update(schema.customers).set({ status: "banned" }).where(eq(schema.customers.email, banned));
    await expect(complete(banned, code)).rejects.toMatchObject({ reason: "invalid_code" });
    expect(await customerOf(banned)).toMatchObject({ status: "banned" });
  });

  test("lets a customer in whom an operator created and verified", async () => {
    const email = fixture.newEmail();
    const ctx = fixture.as(SYSTEM);
    const created = await createCustomer({ ctx, input: { email, name: "Ann" } });
    await markVerified({ ctx, input: { id: created.id } });
    expect(await signUp(fixture, { email })).toMatchObject({ customer: { id: created.id, name: "Ann" } });
  });

  test("queues a welcome mail for the next day", async () => {
    const { email, customer } = await signUp(fixture);
    const mails = await mailsTo(email);
    const welcome = mails.find((mail) => mail.idempotencyKey === `welcome:${customer.id}`);
    expect(welcome?.sendAt.getTime()).toBe(fixture.clock.nowMs() + 24 * 60 * MINUTE_MS);
  });
});

describe("the promotional grant", () => {
  const balanceOf = async (email: string): Promise<bigint> => {
    const { budgets, billingAccountAdmins } = schema;
    const [row] = await fixture
      .as()
      .db.select({ limitAmount: budgets.limitAmount })
      .from(budgets)
      .innerJoin(billingAccountAdmins, eq(billingAccountAdmins.billingAccountId, budgets.billingAccountId))
      .where(eq(billingAccountAdmins.customerId, (await customerOf(email)).id));
    return row?.limitAmount ?? -1n;
  };

  test("is credited once per mailbox, whatever its address is spelled like", async () => {
    const ctx = fixture.as(undefined, { signupPromoMicros: 5_000_000n });
    const name = fixture.newEmail().split("@")[0]?.replace("person-", "p") ?? "";
    const first = await signUp(fixture, { ctx, email: `${name}@gmail.com` });
    const again = await signUp(fixture, { ctx, email: `${name.slice(0, 3)}.${name.slice(3)}+2@googlemail.com` });
    const other = await signUp(fixture, { ctx });
    expect(await balanceOf(first.email)).toBe(5_000_000n);
    expect(await balanceOf(again.email)).toBe(0n);
    expect(await balanceOf(other.email)).toBe(5_000_000n);
  });

  test("is credited once when a sign-up is repeated at once", async () => {
    const ctx = fixture.as(undefined, { signupPromoMicros: 3n });
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    await Promise.all(Array.from({ length: 4 }, () => complete(email, code, PASSWORD, ctx)));
    expect(await balanceOf(email)).toBe(3n);
  });
});
