import type { EventHandlers } from "../../messages/consumers.ts";
import { mailFailedTopUp } from "./mailFailedTopUp.ts";
import { mailInvoice } from "./mailInvoice.ts";
import { mailExhaustedBalance, mailLowBalance } from "./mailLevel.ts";

/**
 * The consumer that mails what happens to those who pay. A handler queues mails in the transaction that notes the event as
 * handled, under keys made of the event's id, so a second copy of an event adds nothing; and it loads what is true by
 * then, so an event that comes late tells nobody of what is over.
 */
export const MAIL_HANDLERS: EventHandlers<"emails"> = {
  "balance.low": mailLowBalance,
  "balance.exhausted": mailExhaustedBalance,
  "balance.topUpFailed": mailFailedTopUp,
  "billing.invoiceFinalized": mailInvoice,
};
