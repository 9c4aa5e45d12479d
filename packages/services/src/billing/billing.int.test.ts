import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { listTiers, readAccount, seedTiers } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

test("the four tiers are there from the start, cheapest first", async () => {
  const { items } = await listTiers({ ctx: fixture.as() });
  expect(
    items.map((tier) => [
      tier.id,
      tier.monthlyPriceMicros,
      tier.freeCallsPerMonth,
      tier.rateLimitPerSecond,
      tier.overage,
    ]),
  ).toEqual([
    ["free", 0n, 10_000, 10, "block"],
    ["solo", 10_000_000n, 100_000, 100, "block"],
    ["pro", 49_000_000n, 1_000_000, 1_000, "block"],
    ["business", 299_000_000n, 10_000_000, 10_000, "invoice"],
  ]);
});

test("seeding again, also from several processes at once, leaves what an operator changed", async () => {
  const { db } = fixture.as();
  await db.update(schema.tiers).set({ rateLimitPerSecond: 77 }).where(eq(schema.tiers.id, "solo"));
  await db.delete(schema.tiers).where(eq(schema.tiers.id, "pro"));
  const results = await Promise.all(
    Array.from({ length: 6 }, (_, index) =>
      seedTiers({ ctx: index % 2 === 0 ? fixture.as(SYSTEM) : fixture.otherProcess(SYSTEM) }),
    ),
  );
  expect(results.flatMap((result) => result.added)).toEqual(["pro"]);
  const { items } = await listTiers({ ctx: fixture.as() });
  expect(items.find((tier) => tier.id === "solo")?.rateLimitPerSecond).toBe(77);
  await expect(seedTiers({ ctx: fixture.as() })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("an account is read by its admins and operators; for all others it is not there", async () => {
  const project = await insertProject(fixture);
  const input = { billingAccountId: project.billingAccountId };
  const admin = await insertMember(fixture, project.id, "viewer");
  if (admin.kind !== "customer") throw new Error("A member is a customer");
  const attempt = () => readAccount({ ctx: fixture.as(admin), input });
  await expect(attempt()).rejects.toMatchObject({ code: "NOT_FOUND", reason: "billing_account_not_found" });
  await fixture
    .as()
    .db.insert(schema.billingAccountAdmins)
    .values({ ...input, customerId: admin.customerId, createdAt: fixture.clock.now() });
  expect(await attempt()).toMatchObject({
    id: input.billingAccountId,
    timeZone: "UTC",
    tier: { id: "free" },
    admins: [{ customerId: admin.customerId }],
  });
  expect(await readAccount({ ctx: fixture.as(OPERATOR), input })).toEqual(await attempt());
  await expect(readAccount({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});
