import { delay } from "@tollgate/kernel";
import type { ConfigContext } from "@tollgate/services/admin";
import { recordSettings } from "@tollgate/services/admin";

const RETRY_MS = 1_000;

/**
 * Sees to it that every change of a setting is recorded, whoever made it and whatever became of them: looks whenever etcd
 * tells something, at the start as well. Several workers may do this side by side.
 * @returns stops it, and resolves when nothing is under way any more
 */
export function keepSettingsRecorded(ctx: ConfigContext): () => Promise<void> {
  const stopping = new AbortController();
  let isDue = false;
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    while (isDue && !stopping.signal.aborted) {
      isDue = false;
      try {
        await recordSettings({ ctx });
      } catch (error) {
        ctx.logger.warn({ err: error }, "changes of settings cannot be recorded yet; trying again");
        isDue = true;
        await delay(RETRY_MS, stopping.signal);
      }
    }
  };
  const start = (): void => {
    running ??= run().finally(() => {
      running = undefined;
      if (isDue && !stopping.signal.aborted) start();
    });
  };
  const stopListening = ctx.config.onStored(() => {
    isDue = true;
    start();
  });
  return async () => {
    stopListening();
    stopping.abort();
    await running;
  };
}
