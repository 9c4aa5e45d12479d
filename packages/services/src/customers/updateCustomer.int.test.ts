import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { signUp } from "../../test/signUp.ts";
import { banCustomer, createCustomer, updateCustomer, updateName } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

type Input = Parameters<typeof updateCustomer>[0]["input"];
const update = (input: Input, ctx = fixture.as(OPERATOR)) => updateCustomer({ ctx, input });
const eventsOf = async (customerId: string, name: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, name));
  return rows.filter((row) => row.payload["customerId"] === customerId).map((row) => row.payload);
};

describe("updateCustomer", () => {
  test("merges notes as a patch, and says which fields changed", async () => {
    const { customer } = await signUp(fixture);
    const { id } = customer;
    expect((await update({ id, meta: { plan: { seats: 3, note: "x" }, tag: "a" } })).meta).toEqual({
      plan: { seats: 3, note: "x" },
      tag: "a",
    });
    const changed = await update({ id, name: "Ann", meta: { plan: { note: null }, tag: "b" } });
    expect(changed).toMatchObject({ name: "Ann", meta: { plan: { seats: 3 }, tag: "b" } });
    expect(await eventsOf(id, "customers.updated")).toEqual([
      { customerId: id, fields: ["meta"] },
      { customerId: id, fields: ["name", "meta"] },
    ]);
  });

  test("that changes nothing writes nothing", async () => {
    const { customer } = await signUp(fixture);
    await update({ id: customer.id, meta: { absent: null }, status: "verified" });
    expect(await eventsOf(customer.id, "customers.updated")).toEqual([]);
  });

  test("patches at once lose no field", async () => {
    const { customer } = await signUp(fixture);
    const fields = Array.from({ length: 8 }, (_, nth) => `field${nth}`);
    await Promise.all(fields.map((field) => update({ id: customer.id, meta: { [field]: true } })));
    expect(Object.keys((await update({ id: customer.id })).meta).toSorted()).toEqual(fields);
  });

  test("refuses notes that grow too large, by name", async () => {
    const { customer } = await signUp(fixture);
    await expect(update({ id: customer.id, meta: { text: "x".repeat(20_000) } })).rejects.toMatchObject({
      reason: "meta_too_large",
      issues: [{ path: "meta" }],
    });
  });

  test("moves a status only where it may go, with everything that belongs to the move", async () => {
    const created = await createCustomer({ ctx: fixture.as(SYSTEM), input: { email: fixture.newEmail() } });
    const { id } = created;
    const refused = { code: "CONFLICT", reason: "illegal_status_move" };
    expect(await update({ id, status: "verified" })).toMatchObject({ status: "verified" });
    await expect(update({ id, status: "unverified" })).rejects.toMatchObject(refused);
    expect(await update({ id, status: "banned" })).toMatchObject({ status: "banned" });
    await expect(update({ id, status: "unverified" })).rejects.toMatchObject(refused);
    expect(await update({ id, status: "verified" })).toMatchObject({ status: "verified" });
    expect(await update({ id, status: "deleted" })).toMatchObject({ status: "deleted" });
    for (const status of ["unverified", "verified", "banned"] as const) {
      await expect(update({ id, status })).rejects.toMatchObject(refused);
    }
    await expect(update({ id, name: "Anew" })).rejects.toMatchObject(refused);
    for (const name of ["customers.verified", "customers.banned", "customers.unbanned", "customers.deleted"]) {
      expect(await eventsOf(id, name)).toHaveLength(1);
    }
  });

  test("lifts a ban only to what the customer was before: an address is not verified by it", async () => {
    const { id } = await createCustomer({ ctx: fixture.as(SYSTEM), input: { email: fixture.newEmail() } });
    await banCustomer({ ctx: fixture.as(OPERATOR), input: { id, reason: "spam" } });
    await expect(update({ id, status: "verified" })).rejects.toMatchObject({ reason: "illegal_status_move" });
    expect(await update({ id, status: "unverified" })).toMatchObject({ status: "unverified" });
  });

  test("is for operators alone", async () => {
    const { customer } = await signUp(fixture);
    const self = fixture.as(customerActor(customer.id));
    await expect(update({ id: customer.id, name: "Me" }, self)).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(update({ id: customer.id }, fixture.as())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    await expect(update({ id: newId("customer") })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

test("people change their own name, and a change to the same name announces nothing", async () => {
  const { customer } = await signUp(fixture);
  const ctx = fixture.as(customerActor(customer.id));
  expect(await updateName({ ctx, input: { name: "Ann" } })).toMatchObject({ id: customer.id, name: "Ann" });
  await updateName({ ctx, input: { name: "Ann" } });
  expect(await eventsOf(customer.id, "customers.updated")).toEqual([{ customerId: customer.id, fields: ["name"] }]);
  await expect(updateName({ ctx: fixture.as(), input: { name: "Nobody" } })).rejects.toMatchObject({
    code: "UNAUTHORIZED",
  });
});
