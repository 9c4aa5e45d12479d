import { listProjectsInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId, toMicros } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, insertMember, insertProject } from "../../test/serviceFixture.ts";
import { signUp } from "../../test/signUp.ts";
import { readMe } from "../customers/index.ts";
import { createProject, listProjects, readProject, setMonthlySpendCap } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

async function newCustomer() {
  const { customer } = await signUp(fixture);
  return fixture.as(customerActor(customer.id));
}

test("a project is owned by its creator and paid for by their own billing account", async () => {
  const ctx = await newCustomer();
  const [account] = (await readMe({ ctx })).billingAccounts;
  const project = await createProject({ ctx, input: { name: "Shop" } });
  expect(project).toMatchObject({ name: "Shop", role: "owner", billingAccountId: account?.id });
  expect(await readProject({ ctx, input: { id: project.id } })).toEqual(project);
  const audits = await ctx.db.select().from(schema.auditLog).where(eq(schema.auditLog.subject, project.id));
  expect(audits.map((row) => row.action)).toEqual(["projects.create"]);
});

test("a customer without a billing account gets one with an empty wallet, and no more than that when asked at once", async () => {
  const project = await insertProject(fixture);
  const member = fixture.as(await insertMember(fixture, project.id, "viewer"));
  const made = await Promise.all(
    ["One", "Two", "Three"].map((name) => createProject({ ctx: member, input: { name } })),
  );
  const [accountId = ""] = [...new Set(made.map((one) => one.billingAccountId))];
  expect(new Set(made.map((one) => one.billingAccountId)).size).toBe(1);
  const wallets = await member.db.select().from(schema.budgets).where(eq(schema.budgets.billingAccountId, accountId));
  expect(wallets).toEqual([expect.objectContaining({ kind: "wallet", limitAmount: 0n, used: 0n, held: 0n })]);
});

test("somebody else's billing account cannot be made to pay", async () => {
  const [mine, theirs] = [await newCustomer(), await newCustomer()];
  const [account] = (await readMe({ ctx: theirs })).billingAccounts;
  const input = { name: "Free ride", billingAccountId: account?.id ?? "" };
  await expect(createProject({ ctx: mine, input })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(createProject({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("a list has the caller's projects with their roles, in pages, without deleted ones and without others'", async () => {
  const ctx = await newCustomer();
  await newCustomer();
  for (const name of ["A", "B", "C"]) await createProject({ ctx, input: { name } });
  const joined = await insertProject(fixture, { name: "Joined" });
  const { actor } = ctx;
  if (actor.kind !== "customer") throw new Error("The actor is a customer");
  const now = fixture.clock.now();
  await ctx.db
    .insert(schema.projectMembers)
    .values({ projectId: joined.id, customerId: actor.customerId, role: "viewer", createdAt: now });
  const gone = await createProject({ ctx, input: { name: "Gone" } });
  await ctx.db.update(schema.projects).set({ deletedAt: now }).where(eq(schema.projects.id, gone.id));
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await listProjects({ ctx, input: listProjectsInput.parse({ limit: 2, cursor }) });
    seen.push(...page.items.map((project) => `${project.name}:${project.role}`));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen.toSorted()).toEqual(["A:owner", "B:owner", "C:owner", "Default:owner", "Joined:viewer"]);
  expect((await readMe({ ctx })).projects.map(({ name, role }) => `${name}:${role}`).toSorted()).toEqual(
    seen.toSorted(),
  );
  await expect(readProject({ ctx, input: { id: gone.id } })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("reading oneself shows each project as reading it does, to the millisecond and to the micro of a very large cap", async () => {
  const ctx = await newCustomer();
  const { id } = await createProject({ ctx, input: { name: 'Ü, "quoted" \\ and 日本' } });
  await setMonthlySpendCap({ ctx, input: { projectId: id, micros: toMicros(9_007_199_254_740_993n) } });
  const { projects, billingAccounts } = await readMe({ ctx });
  for (const project of projects) expect(project).toEqual(await readProject({ ctx, input: { id: project.id } }));
  expect(projects.find((project) => project.id === id)?.monthlySpendCapMicros).toBe(9_007_199_254_740_993n);
  expect(billingAccounts).toHaveLength(1);
});

test("a stranger's project is as if it were not there", async () => {
  const ctx = await newCustomer();
  const project = await insertProject(fixture);
  for (const id of [project.id, newId("project")]) {
    await expect(readProject({ ctx, input: { id } })).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: "No such project",
    });
  }
});
