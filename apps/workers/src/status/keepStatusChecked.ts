import { delay } from "@tollgate/kernel";
import type { ServiceContext } from "@tollgate/services";
import type { Observation } from "@tollgate/services/status";
import { recordObservations } from "@tollgate/services/status";
import type { StatusProbes } from "./statusProbes.ts";
import { observe } from "./statusProbes.ts";

const EVERY_MS = 30_000;

/**
 * Looks at every component twice a minute and notes how it was. It runs by a timer of its own and not as a job: a queue
 * that is gone must not hide that it is. The worker that leads does it, and everyone while nobody can say who leads.
 * @returns stops it, and resolves when nothing is under way any more
 */
export function keepStatusChecked(options: {
  readonly ctx: ServiceContext;
  readonly probes: StatusProbes;
  /** Whether it is this process that looks. */
  mayLook(): boolean;
}): () => Promise<void> {
  const { ctx, probes, mayLook } = options;
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      if (mayLook()) await look(ctx, probes);
      await delay(EVERY_MS, stopping.signal);
    }
  };
  const running = run();
  return async () => {
    stopping.abort();
    await running;
  };
}

async function look(ctx: ServiceContext, probes: StatusProbes): Promise<void> {
  try {
    const observations: Observation[] = await observe(probes);
    await recordObservations({ ctx, input: observations });
  } catch (error) {
    // Without the database there is nowhere to note it. Who asks for the status meanwhile is told that it is down.
    ctx.logger.warn({ err: error }, "the state of the components cannot be noted");
  }
}
