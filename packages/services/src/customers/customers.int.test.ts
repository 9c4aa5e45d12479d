import { listCustomersInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { signUp } from "../../test/signUp.ts";
import { createCustomer, listCustomers, markVerified, readCustomer, readMe } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

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
