import { SCHEDULES } from "@tollgate/contracts";
import type { Queues } from "@tollgate/messaging";

/**
 * Makes the queues' schedules those of the table. Every worker does it, at its start and every minute: asserting one that
 * is there changes nothing, and an emptied Redis has them again soon.
 */
export async function assertSchedules(queues: Queues): Promise<void> {
  for (const { job, everyMs, offsetMs } of SCHEDULES) {
    await queues.queue(job.queue).upsertJobScheduler(
      job.name,
      { every: everyMs, offset: offsetMs },
      {
        name: job.name,
        data: {},
        opts: {
          attempts: job.attempts,
          backoff: { type: "exponential", delay: job.backoffMs },
          removeOnComplete: { count: 50 },
          removeOnFail: { count: 500 },
        },
      },
    );
  }
}
