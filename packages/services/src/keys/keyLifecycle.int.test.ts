import { generateKeyInput, reportLeakedInput, rotateKeyInput, updateKeyInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { toMicros } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { openMail } from "../../test/signUp.ts";
import { keyCapBudgetId } from "../budgets/index.ts";
import type { ProjectRow } from "../permissions.ts";
import {
  announceExpiredKeys,
  blockKeys,
  generateKey,
  generateKeyText,
  hashKey,
  loadKeyRecord,
  reportLeakedKey,
  revokeKey,
  rotateKey,
  unblockKeys,
  updateKey,
} from "./index.ts";

let fixture: ServiceFixture;
let project: ProjectRow;
let developer: Actor;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  project = await insertProject(fixture);
  developer = await insertMember(fixture, project.id, "developer");
});

const generate = (overrides: Record<string, unknown> = {}) =>
  generateKey({
    ctx: fixture.as(developer),
    input: generateKeyInput.parse({ projectId: project.id, ...overrides }),
  });
const load = (key: string) => loadKeyRecord({ ctx: fixture.as(), input: { hash: hashKey(key) } });
const inSeconds = (seconds: number): Date => new Date(fixture.clock.nowMs() + seconds * 1_000);
const eventsOf = async (keyId: string, name: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, name));
  return rows.filter((row) => row.payload["keyId"] === keyId);
};
const lastAudit = async (keyId: string, action: string) => {
  const { auditLog } = schema;
  const rows = await fixture
    .as()
    .db.select()
    .from(auditLog)
    .where(and(eq(auditLog.subject, keyId), eq(auditLog.action, action)));
  return rows.at(-1);
};

describe("a key that expires", () => {
  const sweep = (ctx = fixture.as(SYSTEM)) => announceExpiredKeys({ ctx });

  test("is announced once, by however many sweeps, and not before its time", async () => {
    const due = await Promise.all([1, 2, 3].map(() => generate({ expiresAt: inSeconds(60) })));
    const later = await generate({ expiresAt: inSeconds(61) });
    await sweep();
    expect(await eventsOf(due[0]?.id ?? "", "keys.expired")).toEqual([]);
    fixture.clock.advanceMs(60_000);
    await Promise.all([sweep(), sweep(fixture.otherProcess(SYSTEM)), sweep()]);
    await sweep();
    for (const { id } of due) expect(await eventsOf(id, "keys.expired")).toHaveLength(1);
    expect(await eventsOf(later.id, "keys.expired")).toEqual([]);
  });

  test("is announced again when it was given more time and that has passed too", async () => {
    const { id } = await generate({ expiresAt: inSeconds(10) });
    fixture.clock.advanceMs(10_000);
    await sweep();
    const input = updateKeyInput.parse({ id, expiresAt: inSeconds(10) });
    await updateKey({ ctx: fixture.as(developer), input });
    await sweep();
    expect(await eventsOf(id, "keys.expired")).toHaveLength(1);
    fixture.clock.advanceMs(10_000);
    await sweep();
    expect(await eventsOf(id, "keys.expired")).toHaveLength(2);
  });

  test("is announced at the end of the grace when it was rotated, and not at all when it was revoked", async () => {
    const rotated = await generate();
    const revoked = await generate({ expiresAt: inSeconds(5) });
    const input = rotateKeyInput.parse({ id: rotated.id, graceSeconds: 30 });
    const successor = await rotateKey({ ctx: fixture.as(developer), input });
    await revokeKey({ ctx: fixture.as(developer), input: { id: revoked.id } });
    fixture.clock.advanceMs(30_000);
    await sweep();
    expect(await eventsOf(rotated.id, "keys.expired")).toHaveLength(1);
    for (const { id } of [revoked, successor]) expect(await eventsOf(id, "keys.expired")).toEqual([]);
  });

  test("is swept by nobody but the machinery", async () => {
    await expect(sweep(fixture.as(OPERATOR))).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(sweep(fixture.as())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});

describe("a report of a leaked key", () => {
  const report = (key: string, url?: string) =>
    reportLeakedKey({ ctx: fixture.as(), input: reportLeakedInput.parse({ key, url }) });

  test("revokes a live key at once, tells each owner once, and keeps where it was found", async () => {
    const owners = await Promise.all([1, 2].map(() => insertMember(fixture, project.id, "owner")));
    const { id, key } = await generate({ name: "CI" });
    const url = "https://github.example/somebody/dotfiles";
    await Promise.all([report(key, url), report(key, url)]);
    expect((await load(key))?.status).toBe("revoked");
    expect(await eventsOf(id, "keys.revoked")).toHaveLength(1);
    expect(await lastAudit(id, "keys.reportLeaked")).toMatchObject({ actor: "anonymous", after: { url } });
    const { customers, emails } = schema;
    const { db } = fixture.as();
    for (const owner of owners) {
      const customerId = owner.kind === "customer" ? owner.customerId : "";
      const [person] = await db.select().from(customers).where(eq(customers.id, customerId));
      const mails = await db
        .select()
        .from(emails)
        .where(eq(emails.recipient, person?.email ?? ""));
      expect(mails.map((mail) => mail.template)).toEqual(["keyLeaked"]);
      const text = await openMail(fixture, person?.email ?? "");
      expect(text).toContain("CI");
      expect(text).toContain(key.slice(0, 12));
      expect(text).not.toContain(key.slice(0, 20));
    }
  });

  test("revokes a blocked key too, so that lifting the block does not bring it back", async () => {
    const { id, key } = await generate();
    await blockKeys({ ctx: fixture.as(OPERATOR), input: { keyId: id, message: "stop" } });
    await report(key);
    await unblockKeys({ ctx: fixture.as(OPERATOR), input: { keyId: id } });
    expect((await load(key))?.status).toBe("revoked");
  });

  test("answers the same for every text, and leaves alone what cannot cost anything", async () => {
    const [live, test] = [await generate(), await generate({ mode: "test" })];
    const texts = [
      live.key,
      live.key,
      test.key,
      generateKeyText("live"),
      `${live.key.slice(0, -1)}!`,
      "",
      "x".repeat(128),
    ];
    const answers = [];
    for (const text of texts) answers.push(await report(text));
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(new Set(['{"received":true}']));
    expect((await load(test.key))?.status).toBe("active");
  });
});

describe("a block", () => {
  test("remembers who made it and why, and the audit keeps that when it is lifted", async () => {
    const { id } = await generate();
    const { keys } = schema;
    const { db } = fixture.as();
    await db.update(keys).set({ status: "blocked", blockedBy: "ban", blockedMessage: "banned" }).where(eq(keys.id, id));
    const input = { keyId: id, message: "unpaid" };
    expect(await blockKeys({ ctx: fixture.as(OPERATOR), input })).toEqual({ keyIds: [id] });
    expect(await blockKeys({ ctx: fixture.as(OPERATOR), input })).toEqual({ keyIds: [] });
    const [row] = await db.select().from(keys).where(eq(keys.id, id));
    expect(row).toMatchObject({ blockedBy: "operator", blockedMessage: "unpaid" });
    await unblockKeys({ ctx: fixture.as(OPERATOR), input: { keyId: id } });
    expect(await lastAudit(id, "keys.unblock")).toMatchObject({
      before: { status: "blocked", blockedBy: "operator", blockedMessage: "unpaid" },
    });
    const [after] = await db.select().from(keys).where(eq(keys.id, id));
    expect(after).toMatchObject({ status: "active", blockedBy: null, blockedMessage: null });
  });
});

describe("a cap that is set within a month", () => {
  test("counts what all keys of the rotation chain have spent in it", async () => {
    const first = await generate();
    const second = await rotateKey({
      ctx: fixture.as(developer),
      input: rotateKeyInput.parse({ id: first.id, graceSeconds: 600 }),
    });
    const other = await generate();
    const { usageHourly, budgets } = schema;
    const usage = (keyId: string, chargedMicros: bigint) => ({
      projectId: project.id,
      hour: new Date("2026-01-15T11:00:00Z"),
      endpointId: "ep_00000000test",
      keyId,
      mode: "live" as const,
      status: 200,
      billingAccountId: project.billingAccountId,
      calls: 1,
      units: 1,
      chargedMicros: toMicros(chargedMicros),
      latencyMsTotal: 1,
    });
    const { db } = fixture.as();
    await db.insert(usageHourly).values([usage(first.id, 10n), usage(second.id, 5n), usage(other.id, 1_000n)]);
    const input = updateKeyInput.parse({ id: second.id, monthlySpendCapMicros: "100" });
    await updateKey({ ctx: fixture.as(developer), input });
    const [budget] = await db
      .select()
      .from(budgets)
      .where(eq(budgets.id, keyCapBudgetId(first.id, "2026-01")));
    expect(budget).toMatchObject({ kind: "key_cap", limitAmount: 100n, used: 15n, held: 0n });
  });
});
