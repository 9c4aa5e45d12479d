import type { World } from "./world.ts";

/** Books a movement of the account's own money. */
export function insertBalanceTransaction(
  world: World,
  of: {
    amount: number;
    fee: number;
    type: "charge" | "refund" | "adjustment";
    source: string;
    currency: string;
    customer: string | null;
  },
) {
  const now = world.now(of.customer);
  return world.balanceTransactions.insert({
    id: world.id("txn"),
    object: "balance_transaction",
    amount: of.amount,
    available_on: now,
    balance_type: "payments",
    created: now,
    currency: of.currency,
    description: null,
    exchange_rate: null,
    fee: of.fee,
    fee_details:
      of.fee === 0
        ? []
        : [
            {
              amount: of.fee,
              application: null,
              currency: of.currency,
              description: "Stripe processing fees",
              type: "stripe_fee",
            },
          ],
    net: of.amount - of.fee,
    reporting_category: of.type === "adjustment" ? "dispute" : of.type,
    source: of.source,
    status: "available",
    type: of.type,
  });
}
