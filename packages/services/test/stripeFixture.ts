import { schema } from "@tollgate/db";
import type { Actor, Micros } from "@tollgate/kernel";
import type { StripeStandIn } from "@tollgate/testing/stripe";
import { startStripeStandIn } from "@tollgate/testing/stripe";
import { setDefaultCard } from "../src/payments/index.ts";
import type { PaymentsContext, StripeAccount } from "../src/payments/stripeAccount.ts";
import { createStripeAccount } from "../src/payments/stripeAccount.ts";
import { ensureStripeCustomer } from "../src/payments/stripeCustomer.ts";
import type { ServiceFixture } from "./serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, SYSTEM } from "./serviceFixture.ts";

/** A database and a Stripe of its own, on one clock. */
export interface StripeFixture extends ServiceFixture {
  readonly standIn: StripeStandIn;
  readonly stripe: StripeAccount;
  /** A context with the account at Stripe. */
  pay(actor?: Actor): PaymentsContext;
  /** A billing account with an admin and a customer at Stripe. */
  newAccount(): Promise<PayingAccount>;
  newPayer(card?: string): Promise<Payer>;
}

export interface PayingAccount {
  readonly billingAccountId: string;
  readonly projectId: string;
  readonly admin: Actor;
  readonly stripeCustomerId: string;
  /** Saves a test card with it. @returns the card's id */
  saveCard(card?: string): Promise<string>;
  /** Lets renewals and top-ups be charged to a card that is saved. */
  useByDefault(cardId: string): Promise<void>;
}

/** A billing account with a card that is its default. */
export interface Payer extends PayingAccount {
  readonly cardId: string;
}

export async function createStripeFixture(): Promise<StripeFixture> {
  const fixture = await createServiceFixture();
  const standIn = await startStripeStandIn({ clock: fixture.clock });
  const stripe = createStripeAccount({
    secretKey: standIn.secretKey,
    webhookSecrets: ["whsec_of_the_tests"],
    currency: "usd",
    apiBase: standIn.url,
  });
  const pay = (actor?: Actor): PaymentsContext => ({ ...fixture.as(actor), stripe });
  const newAccount = async (): Promise<PayingAccount> => {
    const project = await insertProject(fixture);
    const { billingAccountId } = project;
    const admin = await insertMember(fixture, project.id, "owner");
    if (admin.kind !== "customer") throw new Error("The member is no customer");
    await fixture
      .as()
      .db.insert(schema.billingAccountAdmins)
      .values({ billingAccountId, customerId: admin.customerId, createdAt: fixture.clock.now() });
    const stripeCustomerId = await ensureStripeCustomer(pay(SYSTEM), billingAccountId);
    return {
      billingAccountId,
      projectId: project.id,
      admin,
      stripeCustomerId,
      saveCard: async (card = "pm_card_visa") => {
        const { id } = await stripe.client.paymentMethods.attach(
          card,
          { customer: stripeCustomerId },
          { idempotencyKey: `attach:${stripeCustomerId}:${card}:${Math.random()}` },
        );
        return id;
      },
      useByDefault: async (cardId) => {
        await setDefaultCard({ ctx: pay(admin), input: { billingAccountId, cardId } });
      },
    };
  };
  return {
    ...fixture,
    standIn,
    stripe,
    pay,
    newAccount,
    newPayer: async (card) => {
      const account = await newAccount();
      const cardId = await account.saveCard(card);
      await account.useByDefault(cardId);
      return { ...account, cardId };
    },
    close: async () => {
      await standIn.stop();
      await fixture.close();
    },
  };
}

/** A tier `lender` that lets its accounts owe, and collects what they owe at the end of a period. */
export async function insertLendingTier(
  fixture: ServiceFixture,
  prices: { readonly monthlyPriceMicros: Micros; readonly creditLimitMicros: Micros },
): Promise<void> {
  await fixture
    .as()
    .db.insert(schema.tiers)
    .values({
      id: "lender",
      displayName: "Lender",
      rank: 9,
      freeCallsPerMonth: 1,
      rateLimitPerSecond: 1,
      overage: "invoice",
      rollsOver: false,
      ...prices,
    });
}
