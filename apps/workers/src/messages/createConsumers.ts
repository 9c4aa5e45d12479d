import { NOTIFIED_SUBJECTS, WEBHOOK_SUBJECTS } from "@tollgate/contracts";
import type { Consumers } from "@tollgate/services/messages";
import { handleEach } from "@tollgate/services/messages";
import { notifyPeople } from "@tollgate/services/notifications";
import { queueWebhooks } from "@tollgate/services/webhooks";

/**
 * What each consuming domain does about each of its events (`CONSUMERS` in the contracts). A handler writes to the database
 * and orders jobs, nothing else; see docs/decisions/0020-consumers.md.
 */
export const createConsumers = (): Consumers => ({
  notifications: handleEach(NOTIFIED_SUBJECTS, notifyPeople),
  webhooks: handleEach(WEBHOOK_SUBJECTS, queueWebhooks),
});
