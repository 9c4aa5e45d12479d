import type { JobName, JobNamed } from "@tollgate/contracts";
import type { JobHandler, JobOrigin } from "@tollgate/messaging";
import { originOf } from "@tollgate/messaging";
import type { ServiceContext } from "@tollgate/services";
import { askUpstream, sweepTenantData } from "@tollgate/services/admin";
import { evaluateRules, sendAlertMessages } from "@tollgate/services/alerts";
import type { AnalyticsSink } from "@tollgate/services/analytics";
import { sendAnalytics } from "@tollgate/services/analytics";
import { announceLevels, expireGrants, settleAccounts, settleDueAccounts } from "@tollgate/services/balance";
import {
  closeDueAccounts,
  closePeriods,
  collectInvoice,
  followSubscription,
  renderInvoiceAttachment,
  sweepCollections,
} from "@tollgate/services/billing";
import { sweepHolders } from "@tollgate/services/budgets";
import { rankApis } from "@tollgate/services/catalog";
import { runChecks } from "@tollgate/services/checks";
import type { ErasurePorts, TokenIssuer } from "@tollgate/services/customers";
import { eraseCustomer, exportCustomer, rotateDueSigningKey, sweepCustomers } from "@tollgate/services/customers";
import type { MailTransport } from "@tollgate/services/emails";
import { sendEmail, sweepDueEmails } from "@tollgate/services/emails";
import { announceExpiredKeys } from "@tollgate/services/keys";
import { sweepMessages } from "@tollgate/services/messages";
import { sweepOauthStates } from "@tollgate/services/oauth";
import type { Outbound } from "@tollgate/services/outbound";
import type { BillingPort, StripeAccount } from "@tollgate/services/payments";
import {
  processStripeEvent,
  reconcilePayments,
  sweepPayments,
  sweepTopUps,
  topUpAccount,
} from "@tollgate/services/payments";
import { checkPipeline, forgetUsage, rankUsers } from "@tollgate/services/usage";
import type { EndpointSlots } from "@tollgate/services/webhooks";
import { deliverWebhooks, forgetWebhooks, sweepWebhooks } from "@tollgate/services/webhooks";
import { currentTraceparent, nextTraceparent, SpanKind, withSpan } from "@tollgate/telemetry";
import type { z } from "zod";
import { jobNamed } from "./jobCatalogue.ts";

/** What a job's handler is given: the context under the job's own name, and the parsed payload. */
type Handler<Name extends JobName> = (
  ctx: ServiceContext,
  data: z.output<JobNamed<Name>["schema"]>,
) => Promise<unknown>;

/** A handler for every job but the folding of calls, which is hot and has one of its own. */
export type Handlers = { readonly [Name in Exclude<JobName, "metering.fold">]: Handler<Name> };

/** How handlers reach what is not ours. */
export interface HandlerPorts {
  readonly mail: MailTransport;
  readonly erasure: ErasurePorts;
  /** Signs what upstreams are asked. */
  readonly tokenIssuer: TokenIssuer;
  /** To URLs that customers and publishers name. */
  readonly outbound: Outbound;
  readonly webhookSlots: EndpointSlots;
  /** Undefined where the deployment takes no payments. */
  readonly stripe: StripeAccount | undefined;
  readonly billing: BillingPort;
  /** Where events go beyond the product. */
  readonly sinks: readonly AnalyticsSink[];
}

export const createHandlers = ({
  mail,
  erasure,
  tokenIssuer,
  outbound,
  webhookSlots,
  stripe,
  billing,
  sinks,
}: HandlerPorts): Handlers => ({
  "metering.holders-sweep": (ctx) => sweepHolders(ctx.database, ctx.clock),
  "balance.settle-sweep": (ctx) => settleDueAccounts({ ctx }),
  "balance.settle": (ctx, input) => settleAccounts({ ctx, input }),
  "balance.expire-sweep": (ctx) => expireGrants({ ctx }),
  "balance.level-sweep": (ctx) => announceLevels({ ctx }),
  "billing.close-sweep": (ctx) => closeDueAccounts({ ctx }),
  "billing.close-periods": (ctx, input) => closePeriods({ ctx, input }),
  "billing.collect-sweep": (ctx) => sweepCollections({ ctx: { ...ctx, stripe } }),
  "billing.collect": (ctx, input) => collectInvoice({ ctx: { ...ctx, stripe }, input }),
  "billing.sync-subscription": (ctx, input) => followSubscription({ ctx: { ...ctx, stripe }, input }),
  "checks.run": (ctx) => runChecks({ ctx }),
  "catalog.rank-apis": async (ctx) => {
    await rankApis({ ctx });
    await rankUsers({ ctx });
  },
  "emails.send": (ctx, input) => sendEmail({ ctx, input, transport: mail, renderInvoice: renderInvoiceAttachment }),
  "emails.sweep": (ctx) => sweepDueEmails({ ctx }),
  "customers.erase": (ctx, input) => eraseCustomer({ ctx, input, ports: erasure }),
  "customers.export": (ctx, input) => exportCustomer({ ctx, input }),
  "customers.sweep": (ctx) => sweepCustomers({ ctx }),
  "customers.rotate-signing-key": (ctx) => rotateDueSigningKey({ ctx }),
  "keys.expire-sweep": (ctx) => announceExpiredKeys({ ctx }),
  "messages.sweep": (ctx) => sweepMessages({ ctx }),
  "oauth.sweep": (ctx) => sweepOauthStates({ ctx }),
  "usage.check-pipeline": (ctx) => checkPipeline({ ctx }),
  "usage.forget-sweep": (ctx) => forgetUsage({ ctx }),
  "webhooks.deliver": (ctx, input) => deliverWebhooks({ ctx, input, outbound, slots: webhookSlots }),
  "admin.delete-tenant-data": (ctx, input) => askUpstream({ ctx: { ...ctx, tokenIssuer }, input, outbound }),
  "admin.tenant-data-sweep": (ctx) => sweepTenantData({ ctx }),
  "alerts.evaluate-sweep": (ctx) => evaluateRules({ ctx }),
  "alerts.send-sweep": (ctx) => sendAlertMessages({ ctx, outbound }),
  "analytics.send-sweep": (ctx) => sendAnalytics({ ctx, sinks }),
  "webhooks.sweep": (ctx) => sweepWebhooks({ ctx }),
  "webhooks.forget-sweep": (ctx) => forgetWebhooks({ ctx }),
  "payments.process-event": (ctx, input) => processStripeEvent({ ctx: { ...ctx, stripe }, input, billing }),
  "payments.sweep": (ctx) => sweepPayments({ ctx: { ...ctx, stripe } }),
  "payments.top-up": (ctx, input) => topUpAccount({ ctx: { ...ctx, stripe }, input }),
  "payments.top-up-sweep": (ctx) => sweepTopUps({ ctx: { ...ctx, stripe } }),
  "payments.reconcile": (ctx) => reconcilePayments({ ctx: { ...ctx, stripe }, billing }),
});

/** Runs the handler of whatever job comes. @throws Error for a job that is not in the catalogue, so that it is seen */
export function createJobHandler(
  handlers: Handlers,
  contextFor: (task: string, jobId?: string, origin?: JobOrigin) => ServiceContext,
): JobHandler {
  return async (job) => {
    const definition = jobNamed(job.name);
    const handler = (
      handlers as Record<string, ((ctx: ServiceContext, data: unknown) => Promise<unknown>) | undefined>
    )[job.name];
    if (definition === undefined || handler === undefined) throw new Error(`No such job: ${job.name}`);
    const origin = originOf(job);
    const attributes = { "messaging.system": "bullmq", "messaging.destination.name": definition.queue };
    await withSpan(
      `process ${job.name}`,
      { kind: SpanKind.CONSUMER, attributes, traceparent: origin?.traceparent },
      async () => {
        const ctx = contextFor(job.name, job.id, origin);
        const traceparent = currentTraceparent() ?? origin?.traceparent ?? nextTraceparent();
        await handler({ ...ctx, traceparent }, definition.schema.parse(job.data));
        ctx.logger.debug("job done");
      },
    );
  };
}
