import { foldCalls as foldCallsJob, PUSH_SUBJECTS } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import type { JobHandler, PushBus } from "@tollgate/messaging";
import { foldCalls, SourceGapError } from "@tollgate/services/metering";
import { SpanKind, withSpan } from "@tollgate/telemetry";
import { UsageNews } from "./usageNews.ts";

/**
 * Folds batches of calls and tells their gateways. Batches of one partition touch the same accounts, so within this
 * worker they take turns; those of different partitions run side by side.
 */
export function createFoldHandler(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly bus: PushBus;
  readonly logger: Logger;
  readonly onFolded: (calls: number) => void;
}): JobHandler {
  const { database, clock, bus, logger } = options;
  const turns = new Map<string, Promise<void>>();
  const news = new UsageNews(bus);
  return async (job) => {
    const batch = foldCallsJob.schema.parse(job.data);
    const partition = batch.source.slice(batch.source.indexOf("/"));
    const turn = (turns.get(partition) ?? Promise.resolve()).then(async () => {
      try {
        const folded = await withSpan(`process ${foldCallsJob.name}`, { kind: SpanKind.CONSUMER }, () =>
          foldCalls(database, clock, batch),
        );
        const { through } = folded;
        options.onFolded(folded.calls);
        news.add(folded);
        bus.publish(PUSH_SUBJECTS.folded, { source: batch.source, through });
      } catch (error) {
        // The batch before it was lost; the gateway sends that one again, and then this one.
        if (!(error instanceof SourceGapError)) throw error;
        logger.warn({ source: batch.source, sequence: batch.sequence }, error.message);
      }
    });
    const settled = turn.catch(() => undefined);
    turns.set(partition, settled);
    await turn;
    if (turns.get(partition) === settled) turns.delete(partition);
  };
}
