import type { ServiceContext } from "../../context.ts";

/**
 * What an erasure reaches beyond the database. Each is called again when it failed or when its outcome was not noted, so
 * it must not mind that there is nothing left to erase. Null: this deployment has no such part, and the step is skipped.
 */
export interface ErasurePorts {
  /** Deletes what the payment provider holds of a person, and of the billing accounts that nobody administers any more. */
  readonly payments:
    | ((
        ctx: ServiceContext,
        subject: { readonly customerId: string; readonly billingAccountIds: readonly string[] },
      ) => Promise<void>)
    | null;
  /** Makes every analytics sink and mailing list forget a person. The address is null if somebody else has it now. */
  readonly analytics:
    | ((ctx: ServiceContext, subject: { readonly customerId: string; readonly email: string | null }) => Promise<void>)
    | null;
  /** Makes the published APIs delete what they hold for projects that are gone. */
  readonly upstreams:
    | ((ctx: ServiceContext, subject: { readonly projectIds: readonly string[] }) => Promise<void>)
    | null;
}

/** A deployment with none of these parts. */
export const NO_ERASURE_PORTS: ErasurePorts = { payments: null, analytics: null, upstreams: null };
