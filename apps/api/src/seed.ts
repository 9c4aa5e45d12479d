import { generateKeyInput } from "@tollgate/contracts";
import { microsFromCents } from "@tollgate/kernel";
import type { ServiceContext } from "@tollgate/services";
import { creditWallet } from "@tollgate/services/balance";
import { seedTiers } from "@tollgate/services/billing";
import { generateKeyText, importKey } from "@tollgate/services/keys";
import { provisionCustomer } from "@tollgate/services/seed";

export interface SeedInput {
  readonly admin: { readonly email: string; readonly password: string };
  readonly demo: { readonly email: string; readonly password: string };
  /** The demo's key from an earlier run; without it a new one is made. */
  readonly demoKey: string | undefined;
}

export interface Seeded {
  readonly admin: { readonly email: string; readonly password: string };
  readonly demo: {
    readonly email: string;
    readonly password: string;
    readonly projectId: string;
    readonly billingAccountId: string;
    readonly key: string;
  };
}

/** Whoever tries the demo wants to see what the gateway can do, not what the smallest tier may. */
const DEMO_TIER_ID = "business";
const DEMO_CREDIT = microsFromCents(1_000n);

/**
 * What a new deployment starts with: the tiers, an operator, and a demo customer with credit and a key. Each step leaves
 * what is there as it is, so it may run at every start and go on where it was interrupted.
 */
export async function seed(ctx: ServiceContext, input: SeedInput): Promise<Seeded> {
  await seedTiers({ ctx });
  await provisionCustomer({ ctx, input: { ...input.admin, isOperator: true } });
  const demo = await provisionCustomer({ ctx, input: { ...input.demo, isOperator: false, tierId: DEMO_TIER_ID } });
  await creditWallet(ctx, {
    billingAccountId: demo.billingAccountId,
    micros: DEMO_CREDIT,
    source: "promo",
    idempotencyKey: "demo-credit",
    reference: "Credit to try things out",
    visible: true,
  });
  const key = input.demoKey ?? generateKeyText("live");
  const settings = generateKeyInput.parse({ projectId: demo.projectId, name: "demo", mode: "live" });
  await importKey({ ctx, input: { ...settings, key } });
  return {
    admin: input.admin,
    demo: { ...input.demo, projectId: demo.projectId, billingAccountId: demo.billingAccountId, key },
  };
}
