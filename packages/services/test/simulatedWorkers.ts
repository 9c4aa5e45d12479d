import {
  closePeriodsJob,
  collectInvoiceJob,
  processStripeEventJob,
  settleJob,
  syncSubscriptionJob,
  topUpJob,
} from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import { expireGrants, settleAccounts, settleDueAccounts } from "../src/balance/index.ts";
import {
  BILLING_PORT,
  closeDueAccounts,
  closePeriods,
  collectInvoice,
  followSubscription,
  sweepCollections,
} from "../src/billing/index.ts";
import { processStripeEvent, sweepPayments, sweepTopUps, topUpAccount } from "../src/payments/index.ts";
import type { PaymentsContext } from "../src/payments/stripeAccount.ts";
import { SYSTEM } from "./serviceFixture.ts";
import type { StripeFixture } from "./stripeFixture.ts";

type Handler = (ctx: PaymentsContext, payload: never) => Promise<unknown>;
const HANDLERS: Readonly<Record<string, Handler>> = {
  [settleJob.name]: (ctx, input) => settleAccounts({ ctx, input }),
  [closePeriodsJob.name]: (ctx, input) => closePeriods({ ctx, input }),
  [collectInvoiceJob.name]: (ctx, input) => collectInvoice({ ctx, input }),
  [syncSubscriptionJob.name]: (ctx, input) => followSubscription({ ctx, input }),
  [topUpJob.name]: (ctx, input) => topUpAccount({ ctx, input }),
  [processStripeEventJob.name]: (ctx, input) => processStripeEvent({ ctx, input, billing: BILLING_PORT }),
};

/** Every sweep of money that the schedules have. */
export async function runSweeps(fixture: StripeFixture): Promise<void> {
  const ctx = fixture.pay(SYSTEM);
  await settleDueAccounts({ ctx });
  await drainJobs(fixture);
  await expireGrants({ ctx });
  await sweepTopUps({ ctx });
  await drainJobs(fixture);
  await closeDueAccounts({ ctx });
  await drainJobs(fixture);
  await sweepCollections({ ctx });
  await sweepPayments({ ctx });
  await drainJobs(fixture);
}

/** Does the jobs about money that wait in the outbox, and every third of them twice, as a queue may. */
export async function drainJobs(fixture: StripeFixture): Promise<void> {
  const { outbox } = schema;
  for (;;) {
    const waiting = await withTransaction(
      fixture.as(SYSTEM),
      ({ db }) =>
        db
          .update(outbox)
          .set({ sentAt: fixture.clock.now() })
          .where(and(eq(outbox.kind, "job"), isNull(outbox.sentAt)))
          .returning(),
      { isIdempotent: true },
    );
    const jobs = waiting
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || a.ordinal - b.ordinal)
      .filter((job) => HANDLERS[job.name] !== undefined);
    if (jobs.length === 0) return;
    for (const [index, { name, payload }] of jobs.entries()) {
      const handle = HANDLERS[name];
      if (handle === undefined) continue;
      await handle(fixture.pay(SYSTEM), payload as never);
      if (index % 3 === 0) await handle(fixture.pay(SYSTEM), payload as never);
    }
  }
}
