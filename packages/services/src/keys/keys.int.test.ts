import { generateKeyInput, listKeysInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId, toMicros } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR } from "../../test/serviceFixture.ts";
import type { ProjectRow } from "../permissions.ts";
import {
  blockKeys,
  generateKey,
  hashKey,
  listKeys,
  loadKeyRecord,
  readKey,
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

const generate = (overrides: Record<string, unknown> = {}, actor: Actor = developer) =>
  generateKey({ ctx: fixture.as(actor), input: generateKeyInput.parse({ projectId: project.id, ...overrides }) });
const load = (key: string) => loadKeyRecord({ ctx: fixture.as(), input: { hash: hashKey(key) } });
const eventsOf = async (keyId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox);
  return rows.flatMap((row) => (row.payload["keyId"] === keyId ? [row.name] : [])).toSorted();
};

describe("listKeys and readKey", () => {
  test("show status, last use, and this month's calls and spend of each key", async () => {
    const { id } = await generate({ expiresAt: new Date(fixture.clock.nowMs() + 1_000) });
    const { db } = fixture.as();
    const usage = (hour: string, calls: number, chargedMicros: bigint, status = 200) => ({
      projectId: project.id,
      hour: new Date(hour),
      endpointId: newId("endpoint"),
      keyId: id,
      mode: "live" as const,
      status,
      billingAccountId: project.billingAccountId,
      calls,
      units: calls,
      chargedMicros: toMicros(chargedMicros),
      latencyMsTotal: 1,
    });
    await db
      .insert(schema.usageHourly)
      .values([
        usage("2025-12-31T23:00:00Z", 100, 100n),
        usage("2026-01-01T00:00:00Z", 2, 20n),
        usage("2026-01-15T11:00:00Z", 3, 30n),
      ]);
    const lastUsedAt = fixture.clock.now();
    await db.insert(schema.keyActivity).values({ keyId: id, lastUsedAt });
    const viewer = await insertMember(fixture, project.id, "viewer");
    expect(await readKey({ ctx: fixture.as(viewer), input: { id } })).toMatchObject({
      id,
      status: "active",
      lastUsedAt,
      monthToDateCalls: 5,
      monthToDateMicros: 50n,
    });
    fixture.clock.advanceMs(1_000);
    expect(await readKey({ ctx: fixture.as(viewer), input: { id } })).toMatchObject({ status: "expired" });
  });

  test("count the month in the billing account's time zone", async () => {
    const { id } = await generate();
    const { db } = fixture.as();
    await db
      .update(schema.billingAccounts)
      .set({ timeZone: "America/Los_Angeles" })
      .where(eq(schema.billingAccounts.id, project.billingAccountId));
    await db.insert(schema.usageHourly).values({
      projectId: project.id,
      hour: new Date("2026-01-01T07:00:00Z"),
      endpointId: newId("endpoint"),
      keyId: id,
      mode: "live",
      status: 200,
      billingAccountId: project.billingAccountId,
      calls: 1,
      units: 1,
      chargedMicros: toMicros(1n),
      latencyMsTotal: 1,
    });
    expect((await readKey({ ctx: fixture.as(developer), input: { id } })).monthToDateCalls).toBe(0);
  });

  test("page through keys made in the same instant without losing or repeating one", async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => generate()));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const input = listKeysInput.parse({ projectId: project.id, limit: 2, cursor });
      const page = await listKeys({ ctx: fixture.as(developer), input });
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map((key) => key.id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen.toSorted()).toEqual(made.map((key) => key.id).toSorted());
  });

  test("answer a member of another project as if the key were not there", async () => {
    const { id } = await generate();
    const other = await insertProject(fixture);
    const stranger = await insertMember(fixture, other.id, "owner");
    for (const verb of [readKey, revokeKey, updateKey]) {
      const missing = verb({ ctx: fixture.as(stranger), input: { id: newId("key") } }).catch((error) => error.message);
      const theirs = verb({ ctx: fixture.as(stranger), input: { id } }).catch((error) => error.message);
      expect(await theirs).toBe(await missing);
      await expect(verb({ ctx: fixture.as(stranger), input: { id } })).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });
});

describe("revokeKey", () => {
  test("ends a key for good, once, with one event that names its hash", async () => {
    const { id, key } = await generate();
    const revoke = () => revokeKey({ ctx: fixture.as(developer), input: { id } });
    const answers = await Promise.all([revoke(), revoke(), revoke()]);
    expect(answers.map((answer) => answer.status)).toEqual(["revoked", "revoked", "revoked"]);
    expect((await load(key))?.status).toBe("revoked");
    expect(await eventsOf(id)).toEqual(["keys.generated", "keys.revoked"]);
    const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "keys.revoked"));
    expect(rows.filter((row) => row.payload["keyHash"] === hashKey(key))).toHaveLength(1);
    await expect(updateKey({ ctx: fixture.as(developer), input: { id, name: "again" } })).rejects.toMatchObject({
      code: "CONFLICT",
      reason: "key_revoked",
    });
    await blockKeys({ ctx: fixture.as(OPERATOR), input: { keyId: id, message: "stop" } });
    await unblockKeys({ ctx: fixture.as(OPERATOR), input: { keyId: id } });
    expect((await load(key))?.status).toBe("revoked");
  });
});

describe("updateKey", () => {
  test("changes what is given, lifts what is null and leaves the rest", async () => {
    const { id, key } = await generate({ rateLimitPerSecond: 5, monthlySpendCapMicros: "500", scopes: ["weather"] });
    await updateKey({ ctx: fixture.as(developer), input: { id, name: "renamed", monthlySpendCapMicros: null } });
    expect(await load(key)).toMatchObject({
      rateLimitPerSecond: 5,
      monthlySpendCapMicros: null,
      scopes: ["weather"],
    });
    expect((await readKey({ ctx: fixture.as(developer), input: { id } })).name).toBe("renamed");
    expect(await eventsOf(id)).toEqual(["keys.generated", "keys.updated"]);
  });

  test("changes the cap and the rate limit of a whole rotation chain, and the scopes of one key", async () => {
    const first = await generate();
    const second = await generate();
    const { db } = fixture.as();
    await db.update(schema.keys).set({ rootKeyId: first.id }).where(eq(schema.keys.id, second.id));
    await updateKey({
      ctx: fixture.as(developer),
      input: { id: second.id, rateLimitPerSecond: 9, monthlySpendCapMicros: toMicros(7n), scopes: ["maps"] },
    });
    expect(await load(first.key)).toMatchObject({ rateLimitPerSecond: 9, monthlySpendCapMicros: 7n, scopes: ["*"] });
    expect(await load(second.key)).toMatchObject({
      rateLimitPerSecond: 9,
      monthlySpendCapMicros: 7n,
      scopes: ["maps"],
    });
    expect(await eventsOf(first.id)).toContain("keys.updated");
  });
});

describe("rotateKey", () => {
  const rotate = (id: string, graceSeconds = 60) =>
    rotateKey({ ctx: fixture.as(developer), input: { id, graceSeconds } });

  test("gives a key with the same settings that shares the limits of the old one, which ends after the grace", async () => {
    const old = await generate({ scopes: ["maps"], rateLimitPerSecond: 3, monthlySpendCapMicros: "8", mode: "test" });
    const successor = await rotate(old.id);
    expect(successor.key).toMatch(/^tg_test_/);
    const [before, after] = [await load(old.key), await load(successor.key)];
    expect(before?.expiresAtMs).toBe(fixture.clock.nowMs() + 60_000);
    expect(after).toEqual({ ...before, keyId: successor.id, rootKeyId: old.id, expiresAtMs: null });
    const third = await rotate(successor.id);
    expect((await load(third.key))?.rootKeyId).toBe(old.id);
    expect(await eventsOf(old.id)).toEqual(["keys.generated", "keys.rotated"]);
    fixture.clock.advanceMs(60_000);
    await expect(rotate(old.id)).rejects.toMatchObject({ code: "CONFLICT", reason: "key_not_active" });
  });

  test("neither prolongs a key nor frees one that is blocked", async () => {
    const expiresAt = new Date(fixture.clock.nowMs() + 1_000);
    const old = await generate({ expiresAt });
    const successor = await rotate(old.id);
    expect((await load(old.key))?.expiresAtMs).toBe(expiresAt.getTime());
    expect((await load(successor.key))?.expiresAtMs).toBe(expiresAt.getTime());
    await blockKeys({ ctx: fixture.as(OPERATOR), input: { keyId: successor.id, message: "stop" } });
    await expect(rotate(successor.id)).rejects.toMatchObject({ reason: "key_not_active" });
  });
});

describe("blockKeys and unblockKeys", () => {
  test("stop the keys of all projects that a customer owns, with a message, and let them work again", async () => {
    const owner = await insertMember(fixture, project.id, "owner");
    const [mine, theirs] = [await generate(), await insertProject(fixture)];
    const theirDeveloper = await insertMember(fixture, theirs.id, "developer");
    const other = await generate({ projectId: theirs.id }, theirDeveloper);
    if (owner.kind !== "customer") throw new Error("An owner is a customer");
    const ctx = fixture.as(OPERATOR);
    const blocked = await blockKeys({ ctx, input: { customerId: owner.customerId, message: "Pay first" } });
    expect(blocked.keyIds).toEqual([mine.id]);
    expect(await load(mine.key)).toMatchObject({ status: "blocked", blockedMessage: "Pay first" });
    expect(await load(other.key)).toMatchObject({ status: "active" });
    const again = await blockKeys({ ctx, input: { customerId: owner.customerId, message: "Pay first" } });
    expect(again.keyIds).toEqual([]);
    await unblockKeys({ ctx, input: { customerId: owner.customerId } });
    expect(await load(mine.key)).toMatchObject({ status: "active", blockedMessage: null });
    expect(await eventsOf(mine.id)).toEqual(["keys.blocked", "keys.generated", "keys.unblocked"]);
  });

  test("are for operators alone", async () => {
    const input = { projectId: project.id, message: "stop" };
    await expect(blockKeys({ ctx: fixture.as(developer), input })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(blockKeys({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    const missing = { projectId: newId("project"), message: "stop" };
    await expect(blockKeys({ ctx: fixture.as(OPERATOR), input: missing })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
