import type { Adjustment } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { ZERO_MICROS } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture } from "../../test/serviceFixture.ts";
import { mailedCode, PASSWORD, signUp } from "../../test/signUp.ts";
import { completeSignup } from "./index.ts";

/** What a sign-up asks of the balance. */
const balance = await vi.hoisted(async () => {
  const { createDouble } = await import("@tollgate/testing/doubles");
  return createDouble<typeof import("../balance/creditWallet.ts")>("balance", ["creditWallet"]);
});
vi.mock("../balance/creditWallet.ts", () => balance.module);

const PROMO = 5_000_000n;
let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterEach(() => balance.verify());
afterAll(() => fixture.close());

const withPromo = () => fixture.as(undefined, { signupPromoMicros: PROMO });
const credited = async (): Promise<Adjustment> => ({
  id: "txn_1",
  billingAccountId: "ba_1",
  kind: "credit",
  amountMicros: ZERO_MICROS,
  reference: "Welcome credit",
  visible: true,
  grantId: "grt_1",
  receiptUrl: null,
  createdAt: fixture.clock.now(),
});

describe("the promotion of a sign-up", () => {
  test("is credited once to the new billing account, in the sign-up's own transaction, also when it is repeated", async () => {
    balance.expects("creditWallet", credited, 1);
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    const { customer } = await completeSignup({ ctx: withPromo(), input: { email, code, password: PASSWORD } });
    await completeSignup({ ctx: withPromo(), input: { email, code, password: PASSWORD } });
    const { billingAccountAdmins } = schema;
    const accounts = await fixture
      .as()
      .db.select({ id: billingAccountAdmins.billingAccountId })
      .from(billingAccountAdmins)
      .where(eq(billingAccountAdmins.customerId, customer.id));
    const [[ctx, credit] = []] = balance.callsOf("creditWallet");
    expect(ctx?.isInTransaction).toBe(true);
    expect(accounts).toEqual([{ id: credit?.billingAccountId }]);
    expect(credit).toMatchObject({ micros: PROMO, source: "promo", idempotencyKey: "signup-promo", visible: true });
  });

  test("is not asked for where there is none", async () => {
    await signUp(fixture);
    expect(balance.callsOf("creditWallet")).toEqual([]);
  });

  test("fails the sign-up as a whole if it cannot be credited, and the same code finishes it later", async () => {
    const email = fixture.newEmail();
    const input = { email, code: await mailedCode(fixture, email), password: PASSWORD };
    balance.expects("creditWallet", () => Promise.reject(new Error("No credit today")), 1);
    await expect(completeSignup({ ctx: withPromo(), input })).rejects.toThrow("No credit today");
    const [customer] = await fixture.as().db.select().from(schema.customers).where(eq(schema.customers.email, email));
    expect(customer?.status).toBe("unverified");
    balance.expects("creditWallet", credited, 1);
    expect((await completeSignup({ ctx: withPromo(), input })).customer).toMatchObject({ email, status: "verified" });
  });
});
