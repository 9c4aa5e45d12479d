import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findCustomer } from "../internal.ts";
import { eraseAlerts } from "./eraseAlerts.ts";
import { eraseAudit } from "./eraseAudit.ts";
import { eraseBalance } from "./eraseBalance.ts";
import { eraseCustomerRow } from "./eraseCustomerRow.ts";
import { eraseEmails } from "./eraseEmails.ts";
import { eraseExports } from "./eraseExports.ts";
import { eraseKeys } from "./eraseKeys.ts";
import { eraseNotifications } from "./eraseNotifications.ts";
import { eraseProjects } from "./eraseProjects.ts";
import { eraseSessions } from "./eraseSessions.ts";
import { eraseUsage } from "./eraseUsage.ts";
import { eraseWebhooks } from "./eraseWebhooks.ts";
import type { ErasurePorts } from "./ports.ts";

/** What a step did, in numbers and ids, for the operator who asks; nothing personal. */
export type StepDetail = Readonly<Record<string, unknown>>;

/** What the steps before have noted, by their names. */
export type StepDetails = ReadonlyMap<string, StepDetail>;

interface InnerStep {
  readonly kind: "inner";
  readonly name: string;
  /** Runs inside the transaction that also marks the step as done, so it is done once. */
  run(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail>;
}

interface OuterStep {
  readonly kind: "outer";
  readonly name: string;
  /** Reaches beyond the database and may run twice. Null: this deployment has no such part. */
  run(
    ctx: ServiceContext,
    customer: CustomerRow,
    ports: ErasurePorts,
    details: StepDetails,
  ): Promise<StepDetail | null>;
}

export type ErasureStep = InnerStep | OuterStep;

/**
 * What it takes to forget a person, in order. The customer's own row comes last, because it is where the steps before
 * find the address. Ledger, invoices and usage stay: they say which project called what for how much, and when these
 * steps are done nothing says any more whose project it was.
 */
export const ERASURE_STEPS: readonly ErasureStep[] = [
  { kind: "inner", name: "sessions", run: eraseSessions },
  { kind: "inner", name: "keys", run: eraseKeys },
  { kind: "inner", name: "usage", run: eraseUsage },
  // These look at what is left without anybody, so they come before the person leaves it.
  { kind: "inner", name: "webhooks", run: eraseWebhooks },
  { kind: "inner", name: "alerts", run: eraseAlerts },
  { kind: "inner", name: "notifications", run: eraseNotifications },
  { kind: "inner", name: "balance", run: eraseBalance },
  { kind: "inner", name: "audit", run: eraseAudit },
  { kind: "inner", name: "projects", run: eraseProjects },
  {
    kind: "outer",
    name: "payments",
    run: async (ctx, customer, { payments }, details) => {
      if (payments === null) return null;
      const billingAccountIds = idsIn(details.get("balance"), "leftAlone");
      await payments(ctx, { customerId: customer.id, billingAccountIds });
      return { billingAccountIds };
    },
  },
  {
    kind: "outer",
    name: "analytics",
    run: async (ctx, customer, { analytics }) => {
      if (analytics === null) return null;
      // Who has signed up again with the address since has not asked to be forgotten.
      const isTaken = (await findCustomer(ctx, { email: customer.email })) !== undefined;
      await analytics(ctx, { customerId: customer.id, email: isTaken ? null : customer.email });
      return {};
    },
  },
  {
    kind: "outer",
    name: "upstreams",
    run: async (ctx, _, { upstreams }, details) => {
      if (upstreams === null) return null;
      const projectIds = idsIn(details.get("projects"), "projectIds");
      await upstreams(ctx, { projectIds });
      return { projectIds };
    },
  },
  { kind: "inner", name: "exports", run: eraseExports },
  { kind: "inner", name: "emails", run: eraseEmails },
  { kind: "inner", name: "customer", run: eraseCustomerRow },
];

function idsIn(detail: StepDetail | undefined, field: string): string[] {
  const ids = detail?.[field];
  if (!Array.isArray(ids)) throw new Error(`The erasure has no ${field} from a step before`);
  return ids.map(String);
}
