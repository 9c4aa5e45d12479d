import type { accountPaymentsInput, Portal } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import { askStripe } from "./askStripe.ts";
import type { PaymentsVerb } from "./stripeAccount.ts";
import { keyForOnce, requireStripe } from "./stripeAccount.ts";
import { ensureStripeCustomer } from "./stripeCustomer.ts";

/** A page of Stripe's where the account's cards and invoices are; good for some minutes. @throws TollgateError UNAUTHORIZED, NOT_FOUND, UNAVAILABLE */
export async function openPortal({ ctx, input }: PaymentsVerb<z.output<typeof accountPaymentsInput>>): Promise<Portal> {
  const { billingAccountId } = input;
  await requireAccountAdmin(ctx, billingAccountId);
  const { client } = requireStripe(ctx);
  const customer = await ensureStripeCustomer(ctx, billingAccountId);
  const session = await askStripe(() =>
    client.billingPortal.sessions.create(
      { customer, return_url: `${ctx.settings.publicWebUrl}/billing` },
      { idempotencyKey: keyForOnce("portal") },
    ),
  );
  await withTransaction(ctx, (ctx) => writeAudit(ctx, { action: "payments.portalUrl", subject: billingAccountId }));
  return { url: session.url };
}
