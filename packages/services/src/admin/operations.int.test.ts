import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { PASSWORD, signUp } from "../../test/signUp.ts";
import { BOOK_CHECKS, listInvariants, runChecks } from "../checks/index.ts";
import { AccessTokenAuthenticator, login, logout, updateName } from "../customers/index.ts";
import type { Consumer } from "../messages/index.ts";
import { consumersOf, handleEvent, retryParkedEvents } from "../messages/index.ts";
import { discardDeadLetters, impersonate, listAudit, listDeadLetters, replayDeadLetters } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const operator = () => fixture.as(OPERATOR);

describe("the audit", () => {
  it("is read by record, actor, beginning of an action and time, page by page, without losing or repeating an entry", async () => {
    const mark = `prj_${newId("project").slice(4)}`;
    const ctx = fixture.as({ kind: "service", service: "auditor" });
    for (let n = 0; n < 7; n += 1) {
      const action = ["keys.generate", "keys.revoke", "projects.rename"][n % 3] ?? "";
      await withTransaction(ctx, (ctx) => writeAudit(ctx, { action, subject: mark, after: { n } }));
      if (n % 2 === 0) fixture.clock.advanceMs(10);
    }
    const everything = async (input: Record<string, unknown>): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await listAudit({
          ctx: operator(),
          input: { limit: 2, ...input, ...(cursor === undefined ? {} : { cursor }) },
        });
        found.push(...page.items.map(({ after }) => after?.["n"]));
        if (page.nextCursor === null) return found;
        cursor = page.nextCursor;
      }
    };
    expect((await everything({ subject: mark })).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect((await everything({ subject: mark, action: "keys." })).sort()).toEqual([0, 1, 3, 4, 6]);
    expect((await everything({ actor: "service:auditor", action: "projects.rename" })).sort()).toEqual([2, 5]);
    expect((await everything({ action: "keys." })).filter((n) => n !== undefined).sort()).toEqual([0, 1, 3, 4, 6]);
    expect(await everything({ subject: mark, to: new Date(0) })).toEqual([]);
  });

  it("is for operators", async () => {
    await expect(listAudit({ ctx: fixture.as(), input: { limit: 1 } })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});

describe("an operator who impersonates", () => {
  it("sees what the customer sees, changes nothing, is named, and sees nothing any more after signing out", async () => {
    const admin = await signUp(fixture);
    const target = await signUp(fixture);
    const adminId = admin.customer.id;
    await fixture.as().db.update(schema.customers).set({ isOperator: true }).where(eq(schema.customers.id, adminId));
    const { accessToken } = await login({ ctx: fixture.as(), input: { email: admin.email, password: PASSWORD } });
    const { database, tokenIssuer, clock } = fixture.as();
    const authenticator = new AccessTokenAuthenticator({ database, tokenIssuer, clock });
    const acting = fixture.as(await authenticator.authenticateAccessToken(accessToken));
    const input = { customerId: target.customer.id, reason: "Ticket 1" };
    const seen = await impersonate({ ctx: acting, input });
    expect(seen.expiresAt.getTime() - clock.nowMs()).toBeLessThanOrEqual(15 * 60_000);
    const actor = await authenticator.authenticateAccessToken(seen.accessToken);
    expect(actor).toMatchObject({ customerId: target.customer.id, isOperator: false, impersonatedBy: adminId });
    const refused = updateName({ ctx: fixture.as(actor), input: { name: "Somebody else" } });
    await expect(refused).rejects.toMatchObject({ code: "FORBIDDEN", reason: "impersonation_is_read_only" });
    const audit = await listAudit({ ctx: acting, input: { subject: target.customer.id, action: "admin.", limit: 5 } });
    expect(audit.items).toMatchObject([{ actor: `customer:${adminId}`, after: { reason: "Ticket 1" } }]);
    const another = impersonate({ ctx: acting, input: { ...input, customerId: adminId } });
    await expect(another).rejects.toMatchObject({ reason: "customer_is_operator" });
    await logout({ ctx: acting });
    fixture.clock.advanceMs(1_000);
    await expect(authenticator.authenticateAccessToken(seen.accessToken)).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
  });
});

describe("a dead letter", () => {
  const policy = { attemptsMax: 1, delayMs: () => 0 };
  const handled: string[] = [];
  let isSick = true;
  let consumer: Consumer;

  async function giveUp(): Promise<string> {
    const eventId = newId("event");
    const [built] = consumersOf({
      operators: {
        "projects.renamed": async (_, event) => {
          if (isSick) throw new Error("sick");
          handled.push(event.id);
        },
      },
    });
    if (built === undefined) throw new Error("No consumer");
    consumer = built;
    const data = { projectId: newId("project"), name: "x" };
    const time = fixture.clock.now().toISOString();
    const envelope = { id: eventId, subject: "projects.renamed", version: 1, time, actor: "a", requestId: "r", data };
    const ctx = fixture.as(SYSTEM);
    isSick = true;
    await handleEvent({ ctx, input: { consumer, text: JSON.stringify(envelope), policy } });
    await retryParkedEvents({ ctx, input: { consumers: [consumer], policy, limit: 5 } });
    return eventId;
  }
  const letters = async () =>
    (await listDeadLetters({ ctx: operator(), input: { consumer: "operators", limit: 10 } })).items;

  it("is listed with its reason, and is handled once when it is replayed", async () => {
    const eventId = await giveUp();
    const [letter] = await letters();
    expect(letter).toMatchObject({ eventId, subject: "projects.renamed", reason: "failed", lastError: "sick" });
    isSick = false;
    expect(await replayDeadLetters({ ctx: operator(), input: { id: letter?.id ?? "" } })).toEqual({ count: 1 });
    const again = () =>
      retryParkedEvents({ ctx: fixture.as(SYSTEM), input: { consumers: [consumer], policy, limit: 5 } });
    await Promise.all([again(), again()]);
    await again();
    expect(handled).toEqual([eventId]);
    expect(await letters()).toEqual([]);
  });

  it("that is discarded does not come again, not even when the event does", async () => {
    const eventId = await giveUp();
    const envelope = (await letters())[0]?.envelope;
    expect(await discardDeadLetters({ ctx: operator(), input: { consumer: "operators" } })).toEqual({ count: 1 });
    isSick = false;
    const input = { consumer, text: JSON.stringify(envelope), policy };
    expect(await handleEvent({ ctx: fixture.as(SYSTEM), input })).toBe("repeated");
    expect(handled).not.toContain(eventId);
    await expect(discardDeadLetters({ ctx: operator(), input: { id: newId("parkedEvent") } })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });
});

it("the invariants say of every check how it last went, and since when it is broken", async () => {
  expect((await listInvariants({ ctx: operator() })).ok).toBe(false);
  await runChecks({ ctx: fixture.as(SYSTEM) });
  const { ok, items } = await listInvariants({ ctx: operator() });
  expect(ok).toBe(true);
  expect(items.map(({ check }) => check)).toEqual(BOOK_CHECKS.map(({ name }) => name));
  expect(items.every((item) => item.ok === true && item.brokenSince === null)).toBe(true);
});
