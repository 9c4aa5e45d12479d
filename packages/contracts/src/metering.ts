import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";

/**
 * Finished calls on their way from a gateway's spool to the database. The gateway itself sees to it that a batch is sent
 * until it is folded, so the queue keeps nothing of a job that ended, well or badly.
 */
export const foldCalls = defineJob({
  name: "metering.fold",
  queue: "metering",
  schema: z.object({
    /** `<gateway run>/<partition>`: one stream of calls, numbered from 1 without gaps. */
    source: z.string(),
    /** The number of the first call in `records`. */
    sequence: z.int().positive(),
    /** Call records in order, separated by semicolons. */
    records: z.string(),
  }),
  attempts: 3,
  backoffMs: 100,
});

/** NATS subjects outside the event stream: pushes that may be lost, because something slower and surer stands behind each. */
export const PUSH_SUBJECTS = {
  /** A source has been folded through a number: {@link FoldedPush}. Behind it: gateways ask the database. */
  folded: "tollgate.push.folded",
  /** There is something in the outbox. Behind it: the relay looks by itself. */
  outboxWake: "tollgate.push.outbox-wake",
  /** Events are flowing. Gateways that do not hear it trust their caches for seconds only. */
  heartbeat: "tollgate.push.heartbeat",
  /** A gateway found a budget taken while others hold some of it: whoever holds some unused gives it back now. */
  recall: "tollgate.push.recall",
  /** A gateway gave back what it held of a budget. */
  recalled: "tollgate.push.recalled",
  /** Calls were folded: {@link UsagePush}. Behind it: whoever shows usage reads it now and then. */
  usage: "tollgate.push.usage",
} as const;

export const foldedPush = z.object({ source: z.string(), through: z.int() });
export type FoldedPush = z.infer<typeof foldedPush>;

/** Whose usage and whose wallets have changed. */
export const usagePush = z.object({ projectIds: z.array(z.string()), billingAccountIds: z.array(z.string()) });
export type UsagePush = z.infer<typeof usagePush>;

export const recallPush = z.object({ holderId: z.string(), budgetIds: z.array(z.string()) });
export type RecallPush = z.infer<typeof recallPush>;

/** JetStream subjects of domain events are this, the event's subject and its partition: `tollgate.events.keys.revoked.2`. */
export const EVENT_SUBJECT_PREFIX = "tollgate.events.";

/** Every minute: gives back the leases of gateways that vanished and did not come back. */
export const sweepHolders = defineJob({
  name: "metering.holders-sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

/** A run of a gateway that vanished, by its name in the log and in the alarm. */
export const dismissRunInput = z.object({ runId: z.string().regex(/^gw_[0-9A-Za-z]{1,64}$/) });
export const dismissedRunDto = z.object({
  /** How many of its holders were waiting for it; 0 when nobody was. */
  count: z.int(),
});
export type DismissedRun = z.infer<typeof dismissedRunDto>;
export const adminRunDismissed = defineEvent("admin.runDismissed", z.object({ runId: z.string(), unfolded: z.int() }));
