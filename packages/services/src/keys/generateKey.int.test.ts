import { generateKeyInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId, toMicros } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import {
  createServiceFixture,
  customerActor,
  insertMember,
  insertProject,
  OPERATOR,
  SYSTEM,
} from "../../test/serviceFixture.ts";
import type { ProjectRow } from "../permissions.ts";
import { generateKey, generateKeyText, hashKey, hasValidChecksum, importKey, loadKeyRecord } from "./index.ts";

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
const auditOf = (subject: string) =>
  fixture.as().db.select().from(schema.auditLog).where(eq(schema.auditLog.subject, subject));
const eventsOf = async (keyId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox);
  return rows.flatMap((row) => (row.payload["keyId"] === keyId ? [row.name] : [])).toSorted();
};

describe("generateKey", () => {
  test("gives a key of the documented form, and keeps only its hash and first characters", async () => {
    const { id, key } = await generate({ mode: "test" });
    expect(key).toMatch(/^tg_test_[0-9A-Za-z]{38}$/);
    expect(hasValidChecksum(key)).toBe(true);
    const [row] = await fixture.as().db.select().from(schema.keys).where(eq(schema.keys.id, id));
    expect(row).toMatchObject({ hash: hashKey(key), start: key.slice(0, 12), rootKeyId: id, status: "active" });
  });

  test("leaves the secret in no table, neither whole nor in part", async () => {
    const { key } = await generate();
    const { db } = fixture.as();
    const tables = await db.execute<{ name: string }>(
      sql`select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
    );
    expect(tables.length).toBeGreaterThan(20);
    const secret = key.slice(12);
    for (const { name } of tables) {
      const found = await db.execute(
        sql`select 1 from ${sql.identifier(name)} t where cast(row_to_json(t) as text) like ${`%${secret}%`} limit 1`,
      );
      expect(found, name).toHaveLength(0);
    }
  });

  test("is audited without the hash, and announced", async () => {
    const { id, key } = await generate();
    const [audit] = await auditOf(id);
    expect(audit).toMatchObject({ action: "keys.generate", after: { name: "default" } });
    expect(JSON.stringify(audit)).not.toContain(hashKey(key));
    expect(await eventsOf(id)).toEqual(["keys.generated"]);
  });

  test.each(["viewer", "billing"] as const)("is refused to a member with the role %s", async (role) => {
    const member = await insertMember(fixture, project.id, role);
    await expect(generate({}, member)).rejects.toMatchObject({ code: "FORBIDDEN", reason: "role_too_low" });
  });

  test("says to a stranger that there is no such project", async () => {
    await expect(generate({}, customerActor(newId("customer")))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(generate({}, { kind: "anonymous" })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  test("refuses an expiry that has passed and names the field", async () => {
    await expect(generate({ expiresAt: fixture.clock.now() })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: "expiresAt" }],
    });
  });

  test("keeps networks in one spelling, and refuses what is none", async () => {
    const { key } = await generate({ allowedCidrs: ["192.0.2.1", "192.0.2.1/32", "2001:DB8:0:0::/32", "::1"] });
    expect((await load(key))?.allowedCidrs).toEqual(["192.0.2.1/32", "2001:db8::/32", "::1/128"]);
    for (const wrong of ["192.0.2.0/33", "1", "192.0.2", "example.test", ""]) {
      await expect(generate({ allowedCidrs: ["::1", wrong] })).rejects.toMatchObject({
        code: "BAD_REQUEST",
        issues: [{ path: "allowedCidrs.1" }],
      });
    }
  });

  test("keeps scopes in lower case and once, and nothing beside the one for all", async () => {
    const some = await generate({ scopes: ["Weather", "weather", "maps"] });
    expect((await load(some.key))?.scopes).toEqual(["weather", "maps"]);
    const all = await generate({ scopes: ["weather", "*"] });
    expect((await load(all.key))?.scopes).toEqual(["*"]);
  });
});

describe("loadKeyRecord", () => {
  test("answers everything the gateway decides on, in one go", async () => {
    const expiresAt = new Date(fixture.clock.nowMs() + 60_000);
    const { id, key } = await generate({
      scopes: ["weather"],
      rateLimitPerSecond: 7,
      monthlySpendCapMicros: "9000000000000000001",
      expiresAt,
      allowedCidrs: ["10.0.0.0/8"],
    });
    await fixture
      .as()
      .db.update(schema.projects)
      .set({ monthlySpendCapMicros: toMicros(123n) })
      .where(eq(schema.projects.id, project.id));
    expect(await load(key)).toEqual({
      keyId: id,
      rootKeyId: id,
      mode: "live",
      status: "active",
      blockedMessage: null,
      scopes: ["weather"],
      allowedCidrs: ["10.0.0.0/8"],
      rateLimitPerSecond: 7,
      monthlySpendCapMicros: 9_000_000_000_000_000_001n,
      expiresAtMs: expiresAt.getTime(),
      project: { id: project.id, isDeleted: false, monthlySpendCapMicros: 123n },
      billingAccount: { id: project.billingAccountId, timeZone: "UTC" },
      tier: { id: "free", freeCallsPerMonth: 10_000, rateLimitPerSecond: 10, overage: "block" },
    });
  });

  test("finds nothing for a key that was never made", async () => {
    expect(await load(generateKeyText("live"))).toBeUndefined();
  });

  test("shows that the project was deleted", async () => {
    const { key } = await generate();
    await fixture
      .as()
      .db.update(schema.projects)
      .set({ deletedAt: fixture.clock.now() })
      .where(eq(schema.projects.id, project.id));
    expect((await load(key))?.project.isDeleted).toBe(true);
  });
});

describe("importKey", () => {
  const importText = (key: string, projectId = project.id, actor: Actor = SYSTEM) =>
    importKey({ ctx: fixture.as(actor), input: { ...generateKeyInput.parse({ projectId }), key } });

  test("takes in a key by its text, once, however often it runs", async () => {
    const text = generateKeyText("live");
    const answers = await Promise.all([importText(text), importText(text), importText(text)]);
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
    expect(await load(text)).toMatchObject({ keyId: answers[0]?.id, project: { id: project.id } });
  });

  test("refuses a text that is no key, a key of another project, and callers who are not services", async () => {
    const text = generateKeyText("live");
    await importText(text);
    await expect(importText(`${text.slice(0, -1)}!`)).rejects.toMatchObject({ issues: [{ path: "key" }] });
    await expect(importText(generateKeyText("test"))).rejects.toMatchObject({ issues: [{ path: "mode" }] });
    const other = await insertProject(fixture);
    await expect(importText(text, other.id)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(importText(text, project.id, OPERATOR)).rejects.toMatchObject({ code: "FORBIDDEN" });
  });
});
