import { createHmac, hkdfSync } from "node:crypto";
import { schema } from "@tollgate/db";
import { toMicros } from "@tollgate/kernel";
import { creditWallet } from "../balance/creditWallet.ts";
import type { ServiceContext } from "../context.ts";

const GMAIL = new Set(["gmail.com", "googlemail.com"]);

/** The mailbox behind an address: `a.b+shop@googlemail.com` and `ab@gmail.com` reach the same person. */
export function mailboxOf(email: string): string {
  const at = email.lastIndexOf("@");
  const domain = email.slice(at + 1).toLowerCase();
  const [name = ""] = email.slice(0, at).toLowerCase().split("+");
  return GMAIL.has(domain) ? `${name.replaceAll(".", "")}@gmail.com` : `${name}@${domain}`;
}

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
  const key = Buffer.from(hkdfSync("sha256", masterSecret, "tollgate", "promo_claims.mailbox", 32));
  const mailboxHash = createHmac("sha256", key).update(mailboxOf(claim.email)).digest("hex");
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
