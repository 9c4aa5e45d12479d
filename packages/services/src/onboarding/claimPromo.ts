import { schema } from "@tollgate/db";
import { toMicros } from "@tollgate/kernel";
import { creditWallet } from "../balance/creditWallet.ts";
import type { ServiceContext } from "../context.ts";
import { hashMailbox } from "../customers/mailbox.ts";

/**
 * Credits the sign-up promotion, once per mailbox for ever: the claim outlives the customer, as a hash, so that leaving and
 * coming back brings no second one. Inside the transaction that verifies the address.
 */
export async function claimPromo(
  ctx: ServiceContext,
  claim: { readonly email: string; readonly billingAccountId: string },
): Promise<void> {
  const { masterSecret, signupPromoMicros } = ctx.settings;
  if (signupPromoMicros <= 0n) return;
  const mailboxHash = hashMailbox(masterSecret, "promo_claims.mailbox", claim.email);
  const claimed = await ctx.db
    .insert(schema.promoClaims)
    .values({ mailboxHash, createdAt: ctx.clock.now() })
    .onConflictDoNothing()
    .returning({ mailboxHash: schema.promoClaims.mailboxHash });
  if (claimed.length === 0) return;
  await creditWallet(ctx, {
    billingAccountId: claim.billingAccountId,
    micros: toMicros(signupPromoMicros),
    source: "promo",
    idempotencyKey: "signup-promo",
    reference: "Welcome credit",
    visible: true,
  });
}
