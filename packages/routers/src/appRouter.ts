import { adminRouter } from "./admin.ts";
import { alertsRouter } from "./alerts.ts";
import { analyticsRouter } from "./analytics.ts";
import { balanceRouter } from "./balance.ts";
import { billingRouter } from "./billing.ts";
import { catalogRouter } from "./catalog.ts";
import { customersRouter } from "./customers.ts";
import { emailsRouter } from "./emails.ts";
import { keysRouter } from "./keys.ts";
import { notificationsRouter } from "./notifications.ts";
import { oauthRouter } from "./oauth.ts";
import { onboardingRouter } from "./onboarding.ts";
import { paymentsRouter } from "./payments.ts";
import { projectsRouter } from "./projects.ts";
import { statusRouter } from "./status.ts";
import { router } from "./trpc.ts";
import { usageRouter } from "./usage.ts";
import { webhooksRouter } from "./webhooks.ts";

/** Every procedure, by domain. */
export const appRouter = router({
  admin: adminRouter,
  alerts: alertsRouter,
  analytics: analyticsRouter,
  balance: balanceRouter,
  billing: billingRouter,
  catalog: catalogRouter,
  customers: customersRouter,
  emails: emailsRouter,
  keys: keysRouter,
  notifications: notificationsRouter,
  oauth: oauthRouter,
  onboarding: onboardingRouter,
  payments: paymentsRouter,
  projects: projectsRouter,
  status: statusRouter,
  usage: usageRouter,
  webhooks: webhooksRouter,
});

export type AppRouter = typeof appRouter;
