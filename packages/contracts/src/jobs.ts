import { deleteTenantDataJob, tenantDataSweepJob } from "./admin.ts";
import { alertsEvaluateSweep, alertsSendSweep } from "./alerts.ts";
import { analyticsSendSweep } from "./analytics.ts";
import { expireSweepJob, levelSweepJob, runChecksJob, settleJob, settleSweepJob } from "./balance.ts";
import { syncSubscriptionJob } from "./billing/subscriptions.ts";
import { closePeriodsJob, closePeriodsSweepJob, collectInvoiceJob, collectSweepJob } from "./billing.ts";
import { rankApisJob } from "./catalog.ts";
import { customersSweepJob, eraseCustomerJob, exportCustomerJob, rotateSigningKeyJob } from "./customers.ts";
import { emailsSend, emailsSweep } from "./emails.ts";
import { keysExpireSweep } from "./keys.ts";
import { messagesSweep } from "./messages.ts";
import { foldCalls, sweepHolders } from "./metering.ts";
import { oauthSweep } from "./oauth.ts";
import { paymentsSweepJob, processStripeEventJob, reconcilePaymentsJob, topUpJob, topUpSweepJob } from "./payments.ts";
import { checkPipelineJob, usageForgetSweep } from "./usage.ts";
import { webhooksDeliver, webhooksForgetSweep, webhooksSweep } from "./webhooks.ts";

/** Every job there is. Handlers are a map over these names, so one without a handler does not compile. */
export const JOBS = [
  foldCalls,
  sweepHolders,
  settleSweepJob,
  settleJob,
  expireSweepJob,
  levelSweepJob,
  closePeriodsSweepJob,
  closePeriodsJob,
  collectSweepJob,
  collectInvoiceJob,
  syncSubscriptionJob,
  runChecksJob,
  rankApisJob,
  emailsSend,
  emailsSweep,
  eraseCustomerJob,
  exportCustomerJob,
  customersSweepJob,
  rotateSigningKeyJob,
  keysExpireSweep,
  oauthSweep,
  checkPipelineJob,
  usageForgetSweep,
  messagesSweep,
  alertsEvaluateSweep,
  alertsSendSweep,
  analyticsSendSweep,
  webhooksDeliver,
  webhooksSweep,
  webhooksForgetSweep,
  processStripeEventJob,
  paymentsSweepJob,
  topUpJob,
  topUpSweepJob,
  reconcilePaymentsJob,
  deleteTenantDataJob,
  tenantDataSweepJob,
] as const;

export type JobName = (typeof JOBS)[number]["name"];
export type JobNamed<Name extends JobName> = Extract<(typeof JOBS)[number], { readonly name: Name }>;

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** What runs by the clock. Asserted at every start and every minute, so an emptied queue has it again soon. */
export const SCHEDULES = [
  { job: settleSweepJob, everyMs: HOUR_MS, offsetMs: 5 * MINUTE_MS },
  { job: expireSweepJob, everyMs: HOUR_MS, offsetMs: 2 * MINUTE_MS },
  { job: closePeriodsSweepJob, everyMs: HOUR_MS, offsetMs: 10 * MINUTE_MS },
  { job: collectSweepJob, everyMs: 5 * MINUTE_MS, offsetMs: 3 * MINUTE_MS },
  { job: runChecksJob, everyMs: HOUR_MS, offsetMs: 20 * MINUTE_MS },
  { job: levelSweepJob, everyMs: MINUTE_MS, offsetMs: 30_000 },
  { job: sweepHolders, everyMs: MINUTE_MS, offsetMs: 0 },
  { job: emailsSweep, everyMs: MINUTE_MS, offsetMs: 0 },
  { job: customersSweepJob, everyMs: 10 * MINUTE_MS, offsetMs: 4 * MINUTE_MS },
  { job: keysExpireSweep, everyMs: 10 * MINUTE_MS, offsetMs: 3 * MINUTE_MS },
  { job: oauthSweep, everyMs: HOUR_MS, offsetMs: 40 * MINUTE_MS },
  { job: messagesSweep, everyMs: HOUR_MS, offsetMs: 50 * MINUTE_MS },
  { job: alertsEvaluateSweep, everyMs: 10 * MINUTE_MS, offsetMs: 6 * MINUTE_MS },
  { job: alertsSendSweep, everyMs: 10_000, offsetMs: 2_000 },
  { job: analyticsSendSweep, everyMs: 10_000, offsetMs: 6_000 },
  { job: webhooksSweep, everyMs: 5_000, offsetMs: 0 },
  { job: webhooksForgetSweep, everyMs: HOUR_MS, offsetMs: 45 * MINUTE_MS },
  { job: paymentsSweepJob, everyMs: MINUTE_MS, offsetMs: 15_000 },
  { job: topUpSweepJob, everyMs: MINUTE_MS, offsetMs: 45_000 },
  { job: reconcilePaymentsJob, everyMs: 24 * HOUR_MS, offsetMs: 3 * HOUR_MS },
  { job: rotateSigningKeyJob, everyMs: 24 * HOUR_MS, offsetMs: 2 * HOUR_MS },
  { job: checkPipelineJob, everyMs: MINUTE_MS, offsetMs: 30_000 },
  { job: usageForgetSweep, everyMs: 24 * HOUR_MS, offsetMs: 3 * HOUR_MS },
  { job: tenantDataSweepJob, everyMs: MINUTE_MS, offsetMs: 20_000 },
  { job: rankApisJob, everyMs: 24 * HOUR_MS, offsetMs: HOUR_MS },
] as const;
