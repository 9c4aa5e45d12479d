import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dieWhile } from "../../test/dyingProcess.ts";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, OPERATOR } from "../../test/serviceFixture.ts";
import { openMail, PASSWORD, signUp } from "../../test/signUp.ts";
import { banCustomer, login, refreshSession } from "../customers/index.ts";
import { recover, resetPassword } from "./index.ts";

let fixture: ServiceFixture;
const buried: Promise<void>[] = [];
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(async () => {
  await Promise.all(buried);
  await fixture.close();
});

const MINUTE_MS = 60_000;
const NEW_PASSWORD = "nine blue alpacas";
const ask = (email: string, ctx = fixture.as()) => recover({ ctx, input: { email } });
const reset = (token: string, password = NEW_PASSWORD, ctx = fixture.as()) =>
  resetPassword({ ctx, input: { token, password } });
const signIn = (email: string, password: string) => login({ ctx: fixture.as(), input: { email, password } });

/** The token of the link that was just mailed. */
async function mailedToken(email: string): Promise<string> {
  const token = /reset-password\?token=(\S+)/.exec((await openMail(fixture, email)) ?? "")?.[1];
  if (token === undefined) throw new Error(`No link was mailed to ${email}`);
  return token;
}
async function newPerson() {
  const person = await signUp(fixture);
  await ask(person.email);
  return { ...person, token: await mailedToken(person.email) };
}
const eventsOf = async (customerId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox);
  return rows.filter((row) => row.payload["customerId"] === customerId).map((row) => row.name);
};

describe("recover", () => {
  test("answers and pauses the same for a known, an unknown, a banned and an unfinished address, and mails the first", async () => {
    const known = (await signUp(fixture)).email;
    const banned = await signUp(fixture);
    await banCustomer({ ctx: fixture.as(OPERATOR), input: { id: banned.customer.id, reason: "fraud" } });
    for (const email of [known, fixture.newEmail(), banned.email]) {
      expect(await ask(email)).toEqual({ expiresInSeconds: 600, resendAfterSeconds: 60 });
      await expect(ask(email)).rejects.toMatchObject({ reason: "resend_too_soon", retryAfterSeconds: 60 });
      const text = await openMail(fixture, email);
      expect(text?.includes("Choose a new password") ?? false).toBe(email === known);
    }
  });

  test("runs the same statements for an unknown address as for a known one", async () => {
    const { db } = fixture.as();
    const sizes = async () => {
      const counts: number[] = [];
      for (const table of [schema.verifications, schema.emails, schema.outbox, schema.auditLog]) {
        counts.push((await db.select().from(table)).length);
      }
      return counts;
    };
    const written = async (email: string) => {
      const before = await sizes();
      await ask(email);
      return (await sizes()).map((count, nth) => count - (before[nth] ?? 0));
    };
    const { email } = await signUp(fixture);
    expect(await written(email)).toEqual([1, 1, 1, 1]);
    expect(await written(fixture.newEmail())).toEqual([1, 1, 1, 1]);
  });

  test("queues one mail a minute, however many processes are asked at once", async () => {
    const { email } = await signUp(fixture);
    const asked = await Promise.allSettled([
      ...Array.from({ length: 4 }, () => ask(email)),
      ...Array.from({ length: 4 }, () => ask(email, fixture.otherProcess())),
    ]);
    expect(asked.filter((answer) => answer.status === "fulfilled")).toHaveLength(1);
  });
});

describe("resetPassword", () => {
  test("sets the password, ends every session, and tells the owner", async () => {
    const person = await newPerson();
    expect(await reset(person.token)).toEqual({ ok: true });
    await expect(
      refreshSession({ ctx: fixture.as(), input: { refreshToken: person.refreshToken } }),
    ).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    await expect(signIn(person.email, PASSWORD)).rejects.toMatchObject({ reason: "wrong_credentials" });
    await expect(signIn(person.email, NEW_PASSWORD)).resolves.toBeDefined();
    expect(await openMail(fixture, person.email)).toContain("Your password was changed");
    expect(await eventsOf(person.customer.id)).toContain("customers.passwordReset");
  });

  test("lets the owner in at once, who was slowed down by somebody's guesses", async () => {
    const person = await newPerson();
    for (let guess = 0; guess < 5; guess += 1) {
      await expect(signIn(person.email, `guess ${guess}`)).rejects.toBeDefined();
    }
    await expect(signIn(person.email, PASSWORD)).rejects.toMatchObject({ reason: "too_many_attempts" });
    await reset(person.token);
    await expect(signIn(person.email, NEW_PASSWORD)).resolves.toBeDefined();
  });

  test("takes a token once; the same request again, also at once, changes nothing more", async () => {
    const person = await newPerson();
    const answers = await Promise.all([
      reset(person.token),
      reset(person.token),
      reset(person.token, NEW_PASSWORD, fixture.otherProcess()),
    ]);
    expect(answers).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
    const { refreshToken } = await signIn(person.email, NEW_PASSWORD);
    expect(await reset(person.token)).toEqual({ ok: true });
    await expect(reset(person.token, "a third password")).rejects.toMatchObject({ reason: "invalid_recovery_token" });
    await expect(refreshSession({ ctx: fixture.as(), input: { refreshToken } })).resolves.toBeDefined();
    const resets = (await eventsOf(person.customer.id)).filter((name) => name === "customers.passwordReset");
    expect(resets).toHaveLength(1);
  });

  test("takes a token for ten minutes, and only the newest", async () => {
    const person = await newPerson();
    fixture.clock.advanceMs(MINUTE_MS);
    await ask(person.email);
    const second = await mailedToken(person.email);
    await expect(reset(person.token)).rejects.toMatchObject({ reason: "invalid_recovery_token" });
    fixture.clock.advanceMs(10 * MINUTE_MS);
    await expect(reset(second)).rejects.toMatchObject({ reason: "invalid_recovery_token" });
  });

  test("refuses what is no token of ours, one of a banned customer, and a common password", async () => {
    const person = await newPerson();
    const changed = `${person.token.slice(0, -1)}${person.token.endsWith("a") ? "b" : "a"}`;
    for (const token of ["", "tgp_x", changed, `${person.token}x`]) {
      await expect(reset(token)).rejects.toMatchObject({ code: "BAD_REQUEST", issues: [{ path: "token" }] });
    }
    await expect(reset(person.token, "password123")).rejects.toMatchObject({ reason: "common_password" });
    await banCustomer({ ctx: fixture.as(OPERATOR), input: { id: person.customer.id, reason: "fraud" } });
    await expect(reset(person.token)).rejects.toMatchObject({ reason: "invalid_recovery_token" });
  });

  test("keeps the token nowhere in the clear", async () => {
    const { token } = await newPerson();
    const secret = token.slice(token.lastIndexOf("_") + 1);
    const { db } = fixture.as();
    for (const table of [schema.verifications, schema.emails, schema.outbox, schema.auditLog]) {
      expect(JSON.stringify(await db.select().from(table))).not.toContain(secret);
    }
  });

  test.each([
    ["asking", 1, "before"],
    ["asking", 1, "after"],
    ["resetting", 1, "before"],
    ["resetting", 1, "after"],
  ] as const)(
    "a process that dies while %s, at COMMIT %i, %s it, leaves what the person can repeat",
    async (step, commit, moment) => {
      const { email, customer } = await signUp(fixture);
      const anonymous = { kind: "anonymous" } as const;
      if (step === "asking") {
        const death = await dieWhile(fixture, anonymous, { moment, commit }, (ctx) => ask(email, ctx));
        expect(death.hasDied).toBe(true);
        buried.push(death.buried);
        fixture.clock.advanceMs(MINUTE_MS);
      }
      await ask(email);
      const token = await mailedToken(email);
      if (step === "resetting") {
        const death = await dieWhile(fixture, anonymous, { moment, commit }, (ctx) => reset(token, NEW_PASSWORD, ctx));
        expect(death.hasDied).toBe(true);
        buried.push(death.buried);
      }
      expect(await reset(token)).toEqual({ ok: true });
      await expect(signIn(email, NEW_PASSWORD)).resolves.toBeDefined();
      const resets = (await eventsOf(customer.id)).filter((name) => name === "customers.passwordReset");
      expect(resets).toHaveLength(1);
      const { emails } = schema;
      const mails = await fixture.as().db.select().from(emails).where(eq(emails.recipient, email));
      expect(mails.filter((mail) => mail.template === "passwordChanged")).toHaveLength(1);
    },
  );
});
