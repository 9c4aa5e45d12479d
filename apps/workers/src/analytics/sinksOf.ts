import type { AnalyticsSink } from "@tollgate/services/analytics";
import { createSinks, eraseAnalytics, mailchimpBaseOf } from "@tollgate/services/analytics";
import type { ErasurePorts } from "@tollgate/services/customers";
import type { WorkersEnv } from "../env.ts";

/** The sinks that the environment has accounts for. */
export function sinksOf(env: WorkersEnv): AnalyticsSink[] {
  const { MIXPANEL_API_SECRET, MAILCHIMP_API_KEY, MAILCHIMP_LIST_ID } = env;
  return createSinks({
    mixpanel:
      MIXPANEL_API_SECRET === undefined
        ? undefined
        : {
            apiSecret: MIXPANEL_API_SECRET,
            apiBase: env.MIXPANEL_API_BASE.replace(/\/+$/, ""),
            projectToken: env.MIXPANEL_PROJECT_TOKEN,
            gdprToken: env.MIXPANEL_GDPR_TOKEN,
          },
    mailchimp:
      MAILCHIMP_API_KEY === undefined || MAILCHIMP_LIST_ID === undefined
        ? undefined
        : {
            apiKey: MAILCHIMP_API_KEY,
            listId: MAILCHIMP_LIST_ID,
            apiBase: (env.MAILCHIMP_API_BASE ?? mailchimpBaseOf(MAILCHIMP_API_KEY)).replace(/\/+$/, ""),
          },
  });
}

/** How an erasure reaches the sinks; null where there are none. */
export const forgetfulnessOf = (sinks: readonly AnalyticsSink[]): ErasurePorts["analytics"] =>
  sinks.length === 0 ? null : (ctx, subject) => eraseAnalytics(ctx, sinks, subject);
