import { withTransaction, writeAudit } from "@tollgate/db";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";

/** What operators do to jobs by hand, to one of them or to all of a queue. */
export type JobAction = "retry" | "promote" | "remove" | "retryAll" | "promoteAll";

/**
 * Writes down what an operator is about to do to a queue. It comes before the deed: what is not written down is not done.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function recordJobAction({
  ctx,
  input,
}: Verb<{ readonly action: JobAction; readonly queue: string; readonly jobId: string | null }>): Promise<void> {
  requireAdmin(ctx);
  const { action, queue, jobId } = input;
  await withTransaction(ctx, (ctx) =>
    writeAudit(ctx, {
      action: `admin.jobs.${action}`,
      subject: queue,
      after: { queue, ...(jobId === null ? {} : { jobId }) },
    }),
  );
}
