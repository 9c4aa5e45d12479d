import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { PASSWORD, signUp } from "../../test/signUp.ts";
import {
  createAccessTokenAuthenticator,
  login,
  logout,
  refreshSession,
  rotateDueSigningKey,
  rotateSigningKey,
  SIGNING_KEY_DAYS,
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

describe("the signing key", () => {
  test("is replaced when it is 90 days old, not before, and once however many workers ask", async () => {
    const ctx = fixture.as(SYSTEM);
    await rotateSigningKey({ ctx });
    fixture.clock.advanceMs(SIGNING_KEY_DAYS * 24 * 60 * MINUTE_MS - 1);
    expect(await rotateDueSigningKey({ ctx })).toBe(false);
    fixture.clock.advanceMs(1);
    const made = await Promise.all([1, 2, 3].map(() => rotateDueSigningKey({ ctx })));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(await rotateDueSigningKey({ ctx })).toBe(false);
  });
});
