import { schema } from "@tollgate/db";
import { TollgateError } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { readBalance } from "../src/balance/index.ts";
import { cancelSubscription, resumeSubscription, subscribeTier } from "../src/billing/index.ts";
import { chargeCard, refundPayment, setAutoTopUp, setDefaultCard } from "../src/payments/index.ts";
import { OPERATOR, SYSTEM } from "./serviceFixture.ts";
import type { PayingAccount, StripeFixture } from "./stripeFixture.ts";
import { makeCalls, micros } from "./usageFixture.ts";

/** Numbers from 0 up to 1 that are the same for the same seed: mulberry32, by Tommy Ettinger. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const CARDS = ["pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail"];
const HOUR_MS = 3_600_000;

/** What one account does of a day, by chance. Refusals are a part of it; any other error is not. */
export class SimulatedAccount {
  readonly #fixture: StripeFixture;
  readonly #random: () => number;
  readonly account: PayingAccount;
  #cards: string[] = [];
  #keys = 0;

  constructor(fixture: StripeFixture, random: () => number, account: PayingAccount) {
    this.#fixture = fixture;
    this.#random = random;
    this.account = account;
  }

  async liveOneDay(): Promise<void> {
    const { billingAccountId } = this.account;
    const ctx = this.#fixture.pay(this.account.admin);
    if (this.#cards.length === 0 || this.#chance(0.01)) await this.#newCard();
    if (this.#chance(0.08)) {
      const amountCents = 500 + this.#below(5_000);
      await this.#try(() => chargeCard({ ctx, input: { ...this.#payment(), amountCents } }));
    }
    if (this.#chance(0.03)) {
      const tierId = this.#pick(["free", "solo", "pro", "business", "lender"]);
      await this.#try(() => subscribeTier({ ctx, input: { billingAccountId, tierId, cardId: undefined } }));
    }
    if (this.#chance(0.004)) {
      const atPeriodEnd = this.#chance(0.7);
      await this.#try(() => cancelSubscription({ ctx, input: { billingAccountId, atPeriodEnd } }));
    }
    if (this.#chance(0.01)) {
      await this.#try(() => resumeSubscription({ ctx, input: { billingAccountId, cardId: this.#anyCard() } }));
    }
    if (this.#chance(0.01)) {
      const input = {
        billingAccountId,
        isOn: true as const,
        thresholdMicros: micros(2_000_000),
        amountCents: 1_000,
        maxPerMonthCents: 5_000,
      };
      await this.#try(() => setAutoTopUp({ ctx, input: { ...input, cardId: this.#anyCard() } }));
    }
    if (this.#chance(0.01)) await this.#refundPayment();
    if (this.#chance(0.01)) await this.#giveBackAtStripe();
    if (this.#chance(0.8)) await this.#call();
  }

  /** As many calls as the gateway would admit: what is available is never exceeded. */
  async #call(): Promise<void> {
    const { billingAccountId, projectId } = this.account;
    const { available } = await readBalance({ ctx: this.#fixture.as(SYSTEM), input: { billingAccountId } });
    const chargedMicros = micros(1 + this.#below(900_000));
    const hour = this.#below(23);
    if (available < chargedMicros) return;
    const at = new Date(this.#fixture.clock.nowMs() - hour * HOUR_MS);
    const endpointId = `ep_0000000${this.#below(4)}`;
    await makeCalls(this.#fixture, [{ billingAccountId, projectId, endpointId, at, chargedMicros }]);
  }

  async #newCard(): Promise<void> {
    const { billingAccountId, admin } = this.account;
    const cardId = await this.account.saveCard(this.#chance(0.75) ? "pm_card_visa" : this.#pick(CARDS));
    this.#cards.push(cardId);
    await setDefaultCard({ ctx: this.#fixture.pay(admin), input: { billingAccountId, cardId } });
  }

  async #refundPayment(): Promise<void> {
    const { payments } = schema;
    const paid = await this.#fixture
      .as()
      .db.select()
      .from(payments)
      .where(and(eq(payments.billingAccountId, this.account.billingAccountId), eq(payments.status, "succeeded")))
      .orderBy(payments.createdAt);
    const payment = paid.at(-1);
    if (payment === undefined) return;
    const ctx = this.#fixture.pay(OPERATOR);
    const { idempotencyKey } = this.#payment();
    const amountCents = this.#chance(0.5) ? 100 : undefined;
    await this.#try(() =>
      refundPayment({ ctx, input: { paymentId: payment.id, amountCents, reason: undefined, idempotencyKey } }),
    );
  }

  /** Somebody gives the newest payment back in Stripe's dashboard, or the cardholder disputes it and wins. */
  async #giveBackAtStripe(): Promise<void> {
    const { standIn, stripe } = this.#fixture;
    const mine = standIn.world.charges.filter(
      ({ customer, paid, disputed, refunded }) =>
        customer === this.account.stripeCustomerId && paid && !disputed && !refunded,
    );
    const charge = mine.at(-1);
    if (charge === undefined) return;
    if (this.#chance(0.5)) {
      const { idempotencyKey } = this.#payment();
      await stripe.client.refunds.create({ charge: charge.id }, { idempotencyKey: `${charge.id}:${idempotencyKey}` });
      return;
    }
    const dispute = standIn.openDispute(charge.id);
    standIn.closeDispute(dispute.id, this.#chance(0.5) ? "lost" : "won");
  }

  /** What people are refused changes nothing. */
  async #try(ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      const isRefusal = error instanceof TollgateError && !["INTERNAL", "UNAVAILABLE"].includes(error.code);
      if (!isRefusal) throw error;
    }
  }

  #payment() {
    this.#keys += 1;
    const { billingAccountId } = this.account;
    return { billingAccountId, cardId: this.#anyCard(), currency: undefined, idempotencyKey: `key-${this.#keys}` };
  }
  #anyCard = (): string => this.#pick(this.#cards);
  #chance = (of: number): boolean => this.#random() < of;
  #below = (limit: number): number => Math.floor(this.#random() * limit);
  #pick<Item>(items: readonly Item[]): Item {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new Error("There is nothing to pick from");
    return item;
  }
}
