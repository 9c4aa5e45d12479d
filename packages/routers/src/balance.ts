import {
  adjustmentDto,
  adjustmentPage,
  autoTopUpAnswer,
  balanceDto,
  billingAccountIdInput,
  billingAccountPageInput,
  decrementInput,
  grantPage,
  incrementInput,
  ledgerPage,
  liveBalanceDto,
  liveBalanceInput,
  lowBalanceAlertDto,
  reverseInput,
  setAutoTopUpInput,
  setLowBalanceAlertInput,
  transferInput,
} from "@tollgate/contracts";
import {
  decrementBalance,
  incrementBalance,
  listAdjustments,
  listGrants,
  listLedger,
  readBalance,
  reverseTransaction,
  setLowBalanceAlert,
  transferBalance,
  watchBalance,
} from "@tollgate/services/balance";
import { readAutoTopUp, setAutoTopUp } from "@tollgate/services/payments";
import { streamStates } from "./live.ts";
import { adminProcedure, authenticatedProcedure, customerProcedure, router } from "./trpc.ts";

/** Wallets and the ledger behind them. */
export const balanceRouter = router({
  current: authenticatedProcedure
    .meta({ description: "What is in a wallet now: the balance, what is held for calls in flight, what may be spent." })
    .input(billingAccountIdInput)
    .output(balanceDto)
    .query(({ ctx, input }) => readBalance({ ctx, input })),

  ledger: authenticatedProcedure
    .meta({ description: "The statement: every line of the wallet, newest first. The lines add up to what is posted." })
    .input(billingAccountPageInput)
    .output(ledgerPage)
    .query(({ ctx, input }) => listLedger({ ctx, input })),

  listAdjustments: authenticatedProcedure
    .meta({ description: "Credits, debits, transfers and expiries that the customer may see, newest first." })
    .input(billingAccountPageInput)
    .output(adjustmentPage)
    .query(({ ctx, input }) => listAdjustments({ ctx, input })),

  listGrants: authenticatedProcedure
    .meta({ description: "All credit that was ever granted to an account, spent and expired included, newest first." })
    .input(billingAccountPageInput)
    .output(grantPage)
    .query(({ ctx, input }) => listGrants({ ctx, input })),

  readAutoTopUp: authenticatedProcedure
    .meta({ description: "When the account's card is charged by itself, and why it is not any more." })
    .input(billingAccountIdInput)
    .output(autoTopUpAnswer)
    .query(({ ctx, input }) => readAutoTopUp({ ctx, input })),

  setAutoTopUp: customerProcedure
    .meta({
      description:
        "Charges a card by itself whenever the credit is below a threshold, up to an amount a month; or stops.",
    })
    .input(setAutoTopUpInput)
    .output(autoTopUpAnswer)
    .mutation(({ ctx, input }) => setAutoTopUp({ ctx, input })),

  increment: adminProcedure
    .meta({ description: "Gives credit. The same idempotency key with the same request gets the first answer again." })
    .input(incrementInput)
    .output(adjustmentDto)
    .mutation(({ ctx, input }) => incrementBalance({ ctx, input })),

  decrement: adminProcedure
    .meta({ description: "Takes credit back, never more than is free of the claims of calls made and in flight." })
    .input(decrementInput)
    .output(adjustmentDto)
    .mutation(({ ctx, input }) => decrementBalance({ ctx, input })),

  transfer: adminProcedure
    .meta({ description: "Moves credit between two accounts. Each part keeps its source and its expiry." })
    .input(transferInput)
    .output(adjustmentDto)
    .mutation(({ ctx, input }) => transferBalance({ ctx, input })),

  reverse: adminProcedure
    .meta({
      description: "Takes a credit back, or gives back what a debit or a settlement took, to the credit it came from.",
    })
    .input(reverseInput)
    .output(adjustmentDto)
    .mutation(({ ctx, input }) => reverseTransaction({ ctx, input })),

  setLowBalanceAlert: authenticatedProcedure
    .meta({ description: "Says from where on to announce that credit runs low; null for never." })
    .input(setLowBalanceAlertInput)
    .output(lowBalanceAlertDto)
    .mutation(({ ctx, input }) => setLowBalanceAlert({ ctx, input })),

  live: authenticatedProcedure
    .meta({ description: "What a wallet holds, as it changes.", message: liveBalanceDto })
    .input(liveBalanceInput)
    .subscription(async function* ({ ctx, input, signal }) {
      const opening = await watchBalance({ ctx, input });
      yield* streamStates({ ctx, opening, message: liveBalanceDto, signal, lastEventId: input.lastEventId });
    }),
});
