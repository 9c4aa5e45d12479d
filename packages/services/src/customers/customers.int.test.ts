import { listCustomersInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { PASSWORD, signUp } from "../../test/signUp.ts";
import {
  createAccessTokenAuthenticator,
  createCustomer,
  listCustomers,
  login,
  logout,
  markVerified,
  readCustomer,
  readMe,
  refreshSession,
  rotateSigningKey,
} from "./index.ts";
import { parseRefreshToken } from "./sessions.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const MINUTE_MS = 60_000;
const signIn = (email: string, password = PASSWORD, ip = "192.0.2.1", ctx = fixture.as()) =>
  login({ ctx: { ...ctx, ip }, input: { email, password } });
const refresh = (refreshToken: string, ctx = fixture.as()) => refreshSession({ ctx, input: { refreshToken } });
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

describe("refreshSession", () => {
  test("gives new tokens of the same session, for thirty days from the last use", async () => {
    const first = await signUp(fixture);
    fixture.clock.advanceMs(29 * 24 * 60 * MINUTE_MS);
    const second = await refresh(first.refreshToken);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    fixture.clock.advanceMs(29 * 24 * 60 * MINUTE_MS);
    const third = await refresh(second.refreshToken);
    expect(await actorOf(third.accessToken)).toMatchObject({ customerId: first.customer.id });
    fixture.clock.advanceMs(30 * 24 * 60 * MINUTE_MS);
    await expect(refresh(third.refreshToken)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
  });

  test.each([1, 4])("ends the session when a token comes back that was spent %i rotations ago", async (rotations) => {
    const { refreshToken: spent } = await signUp(fixture);
    let present = spent;
    let accessToken = "";
    for (let rotation = 0; rotation < rotations; rotation += 1) {
      ({ refreshToken: present, accessToken } = await refresh(present));
    }
    await expect(refresh(spent)).rejects.toMatchObject({ code: "UNAUTHORIZED", reason: "invalid_refresh_token" });
    await expect(refresh(present)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
    await expect(actorOf(accessToken)).rejects.toMatchObject({ reason: "session_ended" });
  });

  test("answers at most one of many uses of a token at once, and then the session is over", async () => {
    const { refreshToken } = await signUp(fixture);
    const uses = await Promise.allSettled([
      ...Array.from({ length: 3 }, () => refresh(refreshToken)),
      ...Array.from({ length: 3 }, () => refresh(refreshToken, fixture.otherProcess())),
    ]);
    const answered = uses.filter((use) => use.status === "fulfilled");
    expect(answered).toHaveLength(1);
    for (const use of answered) {
      await expect(refresh(use.value.refreshToken)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
    }
  });

  test("leaves the customer's other sessions alone when one is ended", async () => {
    const { email, refreshToken } = await signUp(fixture);
    const other = await signIn(email);
    await refresh(refreshToken);
    await refresh(refreshToken).catch(() => undefined);
    await expect(refresh(other.refreshToken)).resolves.toBeDefined();
  });

  test("a made-up token cannot end a session, even by somebody who knows its id", async () => {
    const { refreshToken } = await signUp(fixture);
    const [, session, secret = "", seal = ""] = refreshToken.split("_");
    const otherSecret = secret.startsWith("0") ? `1${secret.slice(1)}` : `0${secret.slice(1)}`;
    for (const forged of [`tgr_${session}_${otherSecret}_${seal}`, `tgr_${session}_${secret}_`, "", "tgr___"]) {
      await expect(refresh(forged)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
    }
    await expect(refresh(refreshToken)).resolves.toBeDefined();
    expect(parseRefreshToken("another secret", refreshToken)).toBeUndefined();
  });

  test("stops at a ban, also after it is lifted", async () => {
    const { customer, refreshToken } = await signUp(fixture);
    await setStatus(customer.id, "banned");
    await expect(refresh(refreshToken)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
    await setStatus(customer.id, "verified");
    await expect(refresh(refreshToken)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
  });

  test("keeps no token in the database", async () => {
    const { refreshToken } = await signUp(fixture);
    const [, , secret = ""] = refreshToken.split("_");
    const { db } = fixture.as();
    for (const table of [schema.sessions, schema.outbox, schema.auditLog]) {
      expect(JSON.stringify(await db.select().from(table))).not.toContain(secret);
    }
  });
});

describe("an access token", () => {
  test("stops within a second of logging out, on every process", async () => {
    const { accessToken, refreshToken } = await signUp(fixture);
    const processes = [authenticatorOf(), authenticatorOf(fixture.otherProcess())];
    for (const process of processes) await process.authenticateAccessToken(accessToken);
    const actor = await actorOf(accessToken);
    await logout({ ctx: fixture.as(actor) });
    await logout({ ctx: fixture.as(actor) });
    fixture.clock.advanceMs(999);
    for (const process of processes) {
      await expect(process.authenticateAccessToken(accessToken)).rejects.toMatchObject({ reason: "session_ended" });
    }
    await expect(refresh(refreshToken)).rejects.toMatchObject({ reason: "invalid_refresh_token" });
    const events = await fixture
      .as()
      .db.select()
      .from(schema.outbox)
      .where(eq(schema.outbox.name, "customers.loggedOut"));
    expect(events).toHaveLength(1);
  });

  test("stops within a second of a ban or a deletion", async () => {
    for (const change of [{ status: "banned" }, { deletedAt: fixture.clock.now() }] as const) {
      const { accessToken, customer } = await signUp(fixture);
      const authenticator = authenticatorOf();
      await authenticator.authenticateAccessToken(accessToken);
      await fixture.as().db.update(schema.customers).set(change).where(eq(schema.customers.id, customer.id));
      fixture.clock.advanceMs(999);
      await expect(authenticator.authenticateAccessToken(accessToken)).rejects.toMatchObject({
        reason: "session_ended",
      });
    }
  });

  test("makes an operator of its owner as soon as they are one, and no longer than that", async () => {
    const { accessToken, customer } = await signUp(fixture);
    const authenticator = authenticatorOf();
    for (const isOperator of [true, false]) {
      await fixture.as().db.update(schema.customers).set({ isOperator }).where(eq(schema.customers.id, customer.id));
      fixture.clock.advanceMs(999);
      expect(await authenticator.authenticateAccessToken(accessToken)).toMatchObject({ isOperator });
    }
  });

  test("expires although its session goes on, in a process that has seen it before", async () => {
    const { accessToken } = await signUp(fixture);
    const authenticator = authenticatorOf();
    await authenticator.authenticateAccessToken(accessToken);
    fixture.clock.advanceMs(15 * MINUTE_MS);
    await expect(authenticator.authenticateAccessToken(accessToken)).rejects.toMatchObject({ reason: "token_expired" });
  });

  test("outlives the rotation of the key that signed it, and other processes take up the new key at once", async () => {
    const { accessToken, email } = await signUp(fixture);
    const other = authenticatorOf(fixture.otherProcess());
    await other.authenticateAccessToken(accessToken);
    fixture.clock.advanceMs(2_000);
    const { keyId } = await rotateSigningKey({ ctx: fixture.as(OPERATOR) });
    fixture.clock.advanceMs(2 * MINUTE_MS);
    // The first use after a minute looks the keys up in the background; a token by the new key is then known everywhere.
    await signIn(email);
    await expect
      .poll(async () => (await fixture.as().tokenIssuer.getJwks()).keys.map((key) => key.kid))
      .toContain(keyId);
    const signedByNew = await signIn(email);
    await expect(other.authenticateAccessToken(signedByNew.accessToken)).resolves.toBeDefined();
    await expect(other.authenticateAccessToken(accessToken)).resolves.toBeDefined();
  });
});

describe("createCustomer and markVerified", () => {
  const create = (email: string, ctx = fixture.as(SYSTEM)) => createCustomer({ ctx, input: { email } });

  test("make one customer of an address, however often and at once", async () => {
    const email = fixture.newEmail();
    const created = await Promise.all([create(email), create(email), create(email), create(email)]);
    expect(new Set(created.map((customer) => customer.id)).size).toBe(1);
    const verify = () => markVerified({ ctx: fixture.as(OPERATOR), input: { email } });
    expect((await Promise.all([verify(), verify()])).map((customer) => customer.status)).toEqual([
      "verified",
      "verified",
    ]);
    const events = await fixture.as().db.select().from(schema.outbox);
    const names = events.flatMap((row) => (row.payload["customerId"] === created[0]?.id ? [row.name] : []));
    expect(names.toSorted()).toEqual(["customers.created", "customers.verified"]);
    await expect(create(email)).rejects.toMatchObject({ code: "CONFLICT", reason: "email_taken" });
  });

  test("never lift a ban or revive a deleted customer", async () => {
    const { customer } = await signUp(fixture);
    for (const status of ["banned", "deleted"] as const) {
      await fixture.as().db.update(schema.customers).set({ status }).where(eq(schema.customers.id, customer.id));
      await expect(markVerified({ ctx: fixture.as(SYSTEM), input: { id: customer.id } })).rejects.toMatchObject({
        code: "CONFLICT",
        reason: `customer_${status}`,
      });
    }
  });

  test("give the address of a deleted customer to a new one", async () => {
    const { customer, email } = await signUp(fixture);
    await fixture
      .as()
      .db.update(schema.customers)
      .set({ status: "deleted", deletedAt: fixture.clock.now() })
      .where(eq(schema.customers.id, customer.id));
    expect((await create(email)).id).not.toBe(customer.id);
  });

  test("are for operators and services alone", async () => {
    const stranger = fixture.as(customerActor(newId("customer")));
    await expect(create(fixture.newEmail(), stranger)).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(create(fixture.newEmail(), fixture.as())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    const input = { id: newId("customer") };
    await expect(markVerified({ ctx: stranger, input })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(markVerified({ ctx: fixture.as(SYSTEM), input })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("readCustomer, listCustomers and readMe", () => {
  test("show a customer to themselves and to operators, and to nobody else", async () => {
    const { customer, email } = await signUp(fixture);
    const self = fixture.as(customerActor(customer.id));
    const stranger = fixture.as(customerActor((await signUp(fixture)).customer.id));
    for (const input of [{ id: customer.id }, { email }]) {
      expect(await readCustomer({ ctx: self, input })).toMatchObject({ id: customer.id, email });
      expect(await readCustomer({ ctx: fixture.as(OPERATOR), input })).toMatchObject({ id: customer.id });
      await expect(readCustomer({ ctx: stranger, input })).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(readCustomer({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    }
    expect((await readMe({ ctx: self })).customer.id).toBe(customer.id);
    await expect(readMe({ ctx: fixture.as(customerActor(newId("customer"))) })).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
  });

  test("list by the beginning of an address, in which % and _ mean themselves, and by status, in pages", async () => {
    const mark = fixture.newEmail().split("@")[0];
    const emails = [1, 2, 3].map((nth) => `${mark}_${nth}@example.test`);
    for (const email of emails) await createCustomer({ ctx: fixture.as(SYSTEM), input: { email } });
    await createCustomer({ ctx: fixture.as(SYSTEM), input: { email: `${mark}x4@example.test` } });
    const list = (input: Record<string, unknown>) =>
      listCustomers({ ctx: fixture.as(OPERATOR), input: listCustomersInput.parse(input) });
    const first = await list({ emailPrefix: `${mark}_`, limit: 2 });
    const second = await list({ emailPrefix: `${mark}_`, limit: 2, cursor: first.nextCursor });
    expect(second.nextCursor).toBeNull();
    expect([...first.items, ...second.items].map((customer) => customer.email).toSorted()).toEqual(emails);
    expect((await list({ emailPrefix: "%" })).items).toEqual([]);
    expect((await list({ emailPrefix: `${mark}_`, status: "verified" })).items).toEqual([]);
    const stranger = fixture.as(customerActor(newId("customer")));
    const input = listCustomersInput.parse({});
    await expect(listCustomers({ ctx: stranger, input })).rejects.toMatchObject({ code: "FORBIDDEN" });
  });
});
