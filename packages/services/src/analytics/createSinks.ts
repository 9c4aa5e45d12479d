import type { MailchimpOptions } from "./mailchimp.ts";
import { createMailchimp } from "./mailchimp.ts";
import type { MixpanelOptions } from "./mixpanel.ts";
import { createMixpanel } from "./mixpanel.ts";
import type { AnalyticsSink } from "./sink.ts";

/** What a deployment has accounts for. */
export interface SinkOptions {
  readonly mixpanel?: MixpanelOptions | undefined;
  readonly mailchimp?: MailchimpOptions | undefined;
}

/** The sinks of a deployment: those that it has an account for, or none. */
export const createSinks = ({ mixpanel, mailchimp }: SinkOptions): AnalyticsSink[] => [
  ...(mixpanel === undefined ? [] : [createMixpanel(mixpanel)]),
  ...(mailchimp === undefined ? [] : [createMailchimp(mailchimp)]),
];
