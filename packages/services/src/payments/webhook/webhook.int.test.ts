import { schema } from "@tollgate/db";
import { signatureOf } from "@tollgate/testing/stripe";
import { eq, isNull } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SYSTEM } from "../../../test/serviceFixture.ts";
import type { StripeFixture } from "../../../test/stripeFixture.ts";
import { createStripeFixture } from "../../../test/stripeFixture.ts";
import { readBalance } from "../../balance/index.ts";
import {
  createCheckoutSession,
  NO_BILLING_PORT,
  processStripeEvent,
  receiveStripeEvent,
  sweepPayments,
} from "../index.ts";

let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
});
afterAll(async () => {
  await fixture?.close();
});

const SECRET = "whsec_of_the_tests";

/** As Stripe sends it. */
function receive(event: object, options: { secret?: string; body?: string; ageSeconds?: number } = {}) {
  const text = JSON.stringify(event);
  const seconds = Math.floor(fixture.clock.nowMs() / 1_000) - (options.ageSeconds ?? 0);
  return receiveStripeEvent(fixture.pay(SYSTEM), {
    body: Buffer.from(options.body ?? text),
    signature: signatureOf(text, options.secret ?? SECRET, seconds),
  });
}

const process = (eventId: string) =>
  processStripeEvent({ ctx: fixture.pay(SYSTEM), input: { eventId }, billing: NO_BILLING_PORT });

describe("an event", () => {
  const event = (id: string) => ({
    id,
    type: "customer.updated",
    created: 1,
    livemode: false,
    data: { object: { id: "cus_x", object: "customer" } },
  });

  test("is kept once, however often it comes and from how many sides", async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => receive(event("evt_once"))));
    expect(answers.filter(({ isNew }) => isNew)).toHaveLength(1);
  });

  test.each([
    ["signed with another secret", { secret: "whsec_other" }],
    ["changed on its way", { body: "{}" }],
    ["kept by somebody and sent again later", { ageSeconds: 600 }],
  ])("that was %s is refused, and nothing is kept", async (_, options) => {
    await expect(receive(event("evt_bad"), options)).rejects.toMatchObject({
      code: "BAD_REQUEST",
      reason: "invalid_signature",
    });
    const { db } = fixture.as();
    expect(await db.select().from(schema.stripeEvents).where(eq(schema.stripeEvents.id, "evt_bad"))).toEqual([]);
  });

  test("that is none of this deployment's, or of the other mode, is put aside", async () => {
    await receive(event("evt_foreign"));
    await receive({ ...event("evt_live"), livemode: true });
    for (const id of ["evt_foreign", "evt_live"]) await process(id);
    const rows = await fixture
      .as()
      .db.select()
      .from(schema.stripeEvents)
      .where(eq(schema.stripeEvents.isIgnored, true));
    expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining(["evt_foreign", "evt_live"]));
  });

  test("whose job has gone is ordered again", async () => {
    await receive(event("evt_lost"));
    fixture.clock.advanceMs(3 * 60_000);
    expect((await sweepPayments({ ctx: fixture.pay(SYSTEM) })).events).toBeGreaterThan(0);
    for (const { id } of await fixture
      .as()
      .db.select()
      .from(schema.stripeEvents)
      .where(isNull(schema.stripeEvents.processedAt))) {
      await process(id);
    }
    expect((await sweepPayments({ ctx: fixture.pay(SYSTEM) })).events).toBe(0);
  });
});

/** Every order of a list. */
function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) =>
    permutations([...items.slice(0, index), ...items.slice(index + 1)]).map((rest) => [item, ...rest]),
  );
}

/** Steps by which 120 orders take each number of copies of each event in turn. */
const copiesOf = (order: number, position: number): number => 1 + ((order + position * 7 + Math.floor(order / 3)) % 3);

const SIGN_UP = [
  "customer.created",
  "payment_method.attached",
  "checkout.session.completed",
  "payment_intent.succeeded",
  "charge.succeeded",
] as const;

const SIDE_BY_SIDE = 6;

/** Somebody signs up and pays; the events come in an order and in copies. @returns what that ends in */
async function signUpInOrder(order: readonly string[], index: number): Promise<string> {
  const account = await fixture.newAccount();
  const { billingAccountId, stripeCustomerId } = account;
  const checkout = await createCheckoutSession({
    ctx: fixture.pay(account.admin),
    input: { billingAccountId, amountCents: 2_500, saveCard: true, currency: undefined, returnPath: "/billing" },
  });
  fixture.standIn.completeCheckout(checkout.sessionId);
  const events = fixture.standIn.world.events.filter(
    ({ data }) => data.object["customer"] === stripeCustomerId || data.object["id"] === stripeCustomerId,
  );
  for (const [position, type] of order.entries()) {
    const event = events.find((one) => one.type === type);
    if (event === undefined) throw new Error(`The sign-up had no ${type}`);
    for (let copy = 0; copy < copiesOf(index, position); copy += 1) {
      await receive(event);
      await process(event.id);
    }
  }
  return JSON.stringify(await stateOf(billingAccountId));
}

test("every order of a sign-up's events, each one to three times, ends in the same state", async () => {
  const orders = permutations(SIGN_UP);
  const states = new Map<string, number>();
  for (let start = 0; start < orders.length; start += SIDE_BY_SIDE) {
    const some = orders.slice(start, start + SIDE_BY_SIDE);
    const ended = await Promise.all(some.map((order, index) => signUpInOrder(order, start + index)));
    for (const state of ended) states.set(state, (states.get(state) ?? 0) + 1);
  }
  expect(orders).toHaveLength(120);
  expect([...states]).toEqual([
    [
      JSON.stringify({
        balance: "25000000",
        payments: [{ status: "succeeded", amountCents: 2_500, refundedCents: 0 }],
        cards: 1,
        events: { "balance.credited": 1, "payments.methodAdded": 1, "payments.succeeded": 1 },
      }),
      120,
    ],
  ]);
}, 300_000);

async function stateOf(billingAccountId: string): Promise<object> {
  const { db } = fixture.as();
  const { outbox, paymentCards, payments } = schema;
  const { balance } = await readBalance({ ctx: fixture.as(SYSTEM), input: { billingAccountId } });
  const rows = await db.select().from(payments).where(eq(payments.billingAccountId, billingAccountId));
  const cards = await db.select().from(paymentCards).where(eq(paymentCards.billingAccountId, billingAccountId));
  const sent = (await db.select().from(outbox).where(eq(outbox.kind, "event")).orderBy(outbox.name)).filter(
    ({ payload }) => payload["billingAccountId"] === billingAccountId,
  );
  const events: Record<string, number> = {};
  for (const { name } of sent) events[name] = (events[name] ?? 0) + 1;
  return {
    balance: String(balance),
    payments: rows.map(({ status, amountCents, refundedCents }) => ({ status, amountCents, refundedCents })),
    cards: cards.length,
    events,
  };
}
