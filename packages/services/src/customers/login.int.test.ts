import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture } from "../../test/serviceFixture.ts";
import { PASSWORD, signUp } from "../../test/signUp.ts";
import { createAccessTokenAuthenticator, login } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const signIn = (email: string, password = PASSWORD, ip = "192.0.2.1", ctx = fixture.as()) =>
  login({ ctx: { ...ctx, ip }, input: { email, password } });
const setStatus = (id: string, status: "banned" | "verified") =>
  fixture.as().db.update(schema.customers).set({ status }).where(eq(schema.customers.id, id));
const authenticatorOf = (ctx = fixture.as()) =>
  createAccessTokenAuthenticator({ database: ctx.database, tokenIssuer: ctx.tokenIssuer, clock: fixture.clock });
async function actorOf(accessToken: string): Promise<Actor> {
  return authenticatorOf().authenticateAccessToken(accessToken);
}
const failureOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => "no failure",
    (error) => ({ code: error.code, reason: error.reason, message: error.message, issues: error.issues }),
  );

describe("login", () => {
  test("opens a session with its own tokens, and is audited and announced", async () => {
    const { email, customer } = await signUp(fixture);
    const tokens = await signIn(email);
    const actor = await actorOf(tokens.accessToken);
    expect(actor).toMatchObject({ kind: "customer", customerId: customer.id, isOperator: false });
    const { db } = fixture.as();
    const audits = await db.select().from(schema.auditLog).where(eq(schema.auditLog.action, "customers.login"));
    expect(audits.filter((row) => row.subject === customer.id)).toEqual([
      expect.objectContaining({ actor: `customer:${customer.id}`, ip: "192.0.2.1" }),
    ]);
    const events = await db.select().from(schema.outbox).where(eq(schema.outbox.name, "customers.loggedIn"));
    expect(events.filter((row) => row.payload["customerId"] === customer.id)).toHaveLength(1);
  });

  test("answers an unknown address and a wrong password alike, also when it slows down", async () => {
    const known = (await signUp(fixture)).email;
    const unknown = fixture.newEmail();
    for (let attempt = 0; attempt < 8; attempt += 1) {
      const answers = await Promise.all([
        failureOf(signIn(known, "a wrong password", `198.51.100.${attempt}`)),
        failureOf(signIn(unknown, "a wrong password", `198.51.100.${attempt}`)),
      ]);
      expect(answers[0]).toEqual(answers[1]);
      expect(answers[0]).toMatchObject({ code: attempt < 5 ? "UNAUTHORIZED" : "TOO_MANY_REQUESTS" });
    }
  });

  test("does the work of a password comparison for an unknown address too", async () => {
    const known = (await signUp(fixture)).email;
    await signIn(fixture.newEmail()).catch(() => undefined);
    const timeOf = async (email: string): Promise<number> => {
      const start = performance.now();
      await signIn(email, "a wrong password", "203.0.113.1").catch(() => undefined);
      return performance.now() - start;
    };
    const times: { known: number[]; unknown: number[] } = { known: [], unknown: [] };
    for (let round = 0; round < 4; round += 1) {
      times.known.push(await timeOf(known));
      times.unknown.push(await timeOf(fixture.newEmail()));
    }
    // Without the decoy an unknown address is answered several times as fast.
    expect(Math.min(...times.unknown)).toBeGreaterThan(Math.min(...times.known) / 2);
  });

  test("lets five guesses at one address through, however many come at once from everywhere", async () => {
    const { email } = await signUp(fixture);
    const guesses = Array.from({ length: 20 }, (_, at) =>
      failureOf(signIn(email, `guess number ${at}`, `203.0.113.${at}`, at % 2 ? fixture.as() : fixture.otherProcess())),
    );
    const answers = await Promise.all(guesses);
    expect(answers.filter((answer) => typeof answer === "object" && answer.code === "UNAUTHORIZED")).toHaveLength(5);
    expect(await failureOf(signIn(email))).toMatchObject({ code: "TOO_MANY_REQUESTS", reason: "too_many_attempts" });
    fixture.clock.advanceMs(1_000);
    await expect(signIn(email)).resolves.toBeDefined();
    await expect(failureOf(signIn(email, "wrong again"))).resolves.toMatchObject({ code: "UNAUTHORIZED" });
    await expect(signIn(email)).resolves.toBeDefined();
  });

  test("slows down one network address that guesses at many customers", async () => {
    const ip = "203.0.113.200";
    const guess = () => failureOf(signIn(fixture.newEmail(), "a wrong password", ip));
    for (let round = 0; round < 10; round += 1) await Promise.all(Array.from({ length: 10 }, guess));
    expect(await guess()).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    const { email } = await signUp(fixture);
    await expect(signIn(email, PASSWORD, "203.0.113.201")).resolves.toBeDefined();
  });

  test("many devices of one customer may sign in at once", async () => {
    const { email } = await signUp(fixture);
    const tokens = await Promise.all(Array.from({ length: 10 }, () => signIn(email)));
    expect(new Set(tokens.map((one) => one.refreshToken)).size).toBe(10);
  });

  test("tells of a ban only those who know the password", async () => {
    const { email, customer } = await signUp(fixture);
    await setStatus(customer.id, "banned");
    expect(await failureOf(signIn(email, "a wrong password"))).toMatchObject({ reason: "wrong_credentials" });
    expect(await failureOf(signIn(email))).toMatchObject({ code: "FORBIDDEN", reason: "customer_banned" });
  });

  test("takes a password that was typed on another keyboard for the same one", async () => {
    const { email, customer } = await signUp(fixture);
    const { hashPassword, savePassword } = await import("./passwords.ts");
    await savePassword(fixture.as(), customer.id, await hashPassword("crème brûlée".normalize("NFC")));
    await expect(signIn(email, "crème brûlée".normalize("NFD"))).resolves.toBeDefined();
  });
});
