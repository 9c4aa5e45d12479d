import { startMailchimpStandIn, startMixpanelStandIn } from "@tollgate/testing/analytics";

/** The sinks of events as the workers are told of them, and how the stand-ins among them end. */
export interface AnalyticsPlan {
  readonly env: Readonly<Record<string, string>>;
  readonly urls: { readonly mixpanel?: string; readonly mailchimp?: string };
  stop(): Promise<void>;
}

/** The launcher's own accounts if its environment has them (programs inherit it); else stand-ins that keep what they hear in memory. */
export async function planAnalytics(ports: {
  readonly mixpanel: number;
  readonly mailchimp: number;
}): Promise<AnalyticsPlan> {
  const { MIXPANEL_API_SECRET, MAILCHIMP_API_KEY } = process.env;
  const mixpanel = MIXPANEL_API_SECRET === undefined ? await startMixpanelStandIn({ port: ports.mixpanel }) : undefined;
  const mailchimp =
    MAILCHIMP_API_KEY === undefined ? await startMailchimpStandIn({ port: ports.mailchimp }) : undefined;
  return {
    env: {
      ...(mixpanel === undefined
        ? {}
        : {
            MIXPANEL_API_SECRET: mixpanel.apiSecret,
            MIXPANEL_PROJECT_TOKEN: mixpanel.projectToken,
            MIXPANEL_GDPR_TOKEN: mixpanel.gdprToken,
            MIXPANEL_API_BASE: mixpanel.url,
          }),
      ...(mailchimp === undefined
        ? {}
        : {
            MAILCHIMP_API_KEY: mailchimp.apiKey,
            MAILCHIMP_LIST_ID: mailchimp.listId,
            MAILCHIMP_API_BASE: mailchimp.url,
          }),
    },
    urls: {
      ...(mixpanel === undefined ? {} : { mixpanel: mixpanel.url }),
      ...(mailchimp === undefined ? {} : { mailchimp: mailchimp.url }),
    },
    stop: async () => {
      await Promise.all([mixpanel?.stop(), mailchimp?.stop()]);
    },
  };
}
