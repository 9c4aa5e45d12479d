import { generateKeyInput, setMonthlySpendCapInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId, toMicros } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject } from "../../test/serviceFixture.ts";
import { projectCapBudgetId } from "../budgets/index.ts";
import { generateKey, hashKey, loadKeyRecord } from "../keys/index.ts";
import type { ProjectRow } from "../permissions.ts";
import { deleteProject, inviteMember, readProject, renameProject, setMonthlySpendCap } from "./index.ts";

let fixture: ServiceFixture;
let project: ProjectRow;
let owner: Actor;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  project = await insertProject(fixture);
  owner = await insertMember(fixture, project.id, "owner");
});

const eventsOf = async (projectId: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox);
  return rows.flatMap((row) => (row.payload["projectId"] === projectId ? [row.name] : []));
};

describe("renaming", () => {
  test("is for admins, and is announced once however often it is repeated", async () => {
    const admin = await insertMember(fixture, project.id, "admin");
    const developer = await insertMember(fixture, project.id, "developer");
    const rename = (actor: Actor) =>
      renameProject({ ctx: fixture.as(actor), input: { id: project.id, name: "Renamed" } });
    expect(await rename(admin)).toMatchObject({ name: "Renamed", role: "admin" });
    await rename(admin);
    await expect(rename(developer)).rejects.toMatchObject({ code: "FORBIDDEN" });
    expect(await eventsOf(project.id)).toEqual(["projects.renamed"]);
  });
});

describe("deleting", () => {
  test("ends the project, its keys and its invitations, and leaves who pays with their credit", async () => {
    const ctx = fixture.as(owner);
    const { key } = await generateKey({ ctx, input: generateKeyInput.parse({ projectId: project.id }) });
    await inviteMember({ ctx, input: { projectId: project.id, email: fixture.newEmail(), role: "viewer" } });
    await deleteProject({ ctx, input: { id: project.id } });
    const record = await loadKeyRecord({ ctx, input: { hash: hashKey(key) } });
    expect(record).toMatchObject({ status: "revoked", project: { isDeleted: true } });
    await expect(readProject({ ctx, input: { id: project.id } })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(deleteProject({ ctx, input: { id: project.id } })).rejects.toMatchObject({ code: "NOT_FOUND" });
    const { projectInvites, billingAccounts } = schema;
    expect(await ctx.db.select().from(projectInvites).where(eq(projectInvites.projectId, project.id))).toEqual([]);
    expect(
      await ctx.db.select().from(billingAccounts).where(eq(billingAccounts.id, project.billingAccountId)),
    ).toHaveLength(1);
    expect((await eventsOf(project.id)).toSorted()).toEqual([
      "keys.generated",
      "keys.revoked",
      "projects.deleted",
      "projects.memberInvited",
    ]);
  });

  test("is for owners alone", async () => {
    const admin = await insertMember(fixture, project.id, "admin");
    await expect(deleteProject({ ctx: fixture.as(admin), input: { id: project.id } })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
  });
});

describe("the monthly spend cap", () => {
  const setCap = (micros: string | null, actor = owner) =>
    setMonthlySpendCap({
      ctx: fixture.as(actor),
      input: setMonthlySpendCapInput.parse({ projectId: project.id, micros }),
    });
  const budget = async () => {
    const { budgets } = schema;
    const id = projectCapBudgetId(project.id, fixture.clock.now().toISOString().slice(0, 7));
    const [row] = await fixture.as().db.select().from(budgets).where(eq(budgets.id, id));
    return row;
  };
  const spend = (hour: string, micros: bigint) =>
    fixture
      .as()
      .db.insert(schema.usageHourly)
      .values({
        projectId: project.id,
        hour: new Date(hour),
        endpointId: newId("endpoint"),
        keyId: newId("key"),
        mode: "live",
        status: 200,
        billingAccountId: project.billingAccountId,
        calls: 1,
        units: 1,
        chargedMicros: toMicros(micros),
        latencyMsTotal: 1,
      });

  test("counts what the month has cost before it was set, and not the month before", async () => {
    await spend("2025-12-31T23:00:00Z", 1_000n);
    await spend("2026-01-10T10:00:00Z", 40n);
    await spend("2026-01-15T11:00:00Z", 2n);
    expect(await setCap("100")).toMatchObject({ monthlySpendCapMicros: 100n });
    expect(await budget()).toMatchObject({ kind: "project_cap", limitAmount: 100n, used: 42n, held: 0n });
  });

  test("moves the budget that is in use, and keeps what it knows of holds and spending", async () => {
    await setCap("100");
    const row = await budget();
    const { budgets } = schema;
    await fixture
      .as()
      .db.update(budgets)
      .set({ used: 70n, held: 10n })
      .where(eq(budgets.id, row?.id ?? ""));
    await setCap("50");
    expect(await budget()).toMatchObject({ limitAmount: 50n, used: 70n, held: 10n });
  });

  test("is lifted by null, and of zero it lets nothing be spent", async () => {
    expect(await setCap("0")).toMatchObject({ monthlySpendCapMicros: 0n });
    expect(await setCap(null)).toMatchObject({ monthlySpendCapMicros: null });
    await setCap(null);
    expect(await eventsOf(project.id)).toEqual(["projects.spendCapChanged", "projects.spendCapChanged"]);
  });

  test("is for billing and admins, not for developers, and never negative", async () => {
    const developer = await insertMember(fixture, project.id, "developer");
    await expect(setCap("5", developer)).rejects.toMatchObject({ code: "FORBIDDEN" });
    expect(await setCap("5", await insertMember(fixture, project.id, "billing"))).toMatchObject({ role: "billing" });
    expect(setMonthlySpendCapInput.safeParse({ projectId: project.id, micros: "-1" }).success).toBe(false);
  });
});
