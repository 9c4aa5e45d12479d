import { EVENT_SUBJECTS, NOTIFIED_SUBJECTS, WEBHOOK_SUBJECTS } from "@tollgate/contracts";
import type { AnalyticsSink } from "@tollgate/services/analytics";
import { forwardEvents } from "@tollgate/services/analytics";
import { MAIL_HANDLERS } from "@tollgate/services/emails";
import type { Consumer, Consumers } from "@tollgate/services/messages";
import { consumersOf, handleEach } from "@tollgate/services/messages";
import { notifyPeople } from "@tollgate/services/notifications";
import { queueWebhooks } from "@tollgate/services/webhooks";

/**
 * What each consuming domain does about each of its events (`CONSUMERS` in the contracts). A handler writes to the database
 * and orders jobs, nothing else; see docs/decisions/0020-consumers.md.
 */
export function createConsumers(sinks: readonly AnalyticsSink[]): Consumer[] {
  const table: Consumers = {
    analytics: handleEach(EVENT_SUBJECTS, forwardEvents(sinks)),
    emails: MAIL_HANDLERS,
    notifications: handleEach(NOTIFIED_SUBJECTS, notifyPeople),
    webhooks: handleEach(WEBHOOK_SUBJECTS, queueWebhooks),
  };
  // Where nobody is to hear of all events, nobody takes them: they would be handled for nothing.
  return consumersOf(table).filter(({ name }) => name !== "analytics" || sinks.length > 0);
}
