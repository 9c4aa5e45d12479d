import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "@tollgate/kernel";
import type { ShipperOptions } from "./spoolShipper.ts";
import { SpoolShipper } from "./spoolShipper.ts";

/**
 * Runs that a crash left behind in this gateway's spool directory: their calls are folded first to last, then their
 * leases are given back and their directories go.
 */
export interface ReplayOptions extends Pick<ShipperOptions, "ports" | "pace" | "clock"> {
  readonly spoolDirectory: string;
  readonly currentRunId: string;
  readonly logger: Logger;
  /** Gives back what the run had leased. */
  readonly closeRun: (runId: string) => Promise<void>;
}

/** @returns the shippers at work, so that acknowledgements can be handed to them, and a promise for each one's end */
export function replayRuns(
  options: ReplayOptions,
): { readonly shipper: SpoolShipper; readonly finished: Promise<void> }[] {
  return readdirSync(options.spoolDirectory, { withFileTypes: true })
    .filter(
      (entry) => entry.isDirectory() && /^gw_[0-9A-Za-z]+$/.test(entry.name) && entry.name !== options.currentRunId,
    )
    .map((entry) => {
      const shipper = new SpoolShipper({
        directory: join(options.spoolDirectory, entry.name),
        runId: entry.name,
        ports: options.ports,
        pace: options.pace,
        clock: options.clock,
        logger: options.logger,
        openSegment: () => undefined,
      });
      return { shipper, finished: replayRun(options, entry.name, shipper) };
    });
}

async function replayRun(options: ReplayOptions, runId: string, shipper: SpoolShipper): Promise<void> {
  options.logger.info({ runId }, "replaying the calls of a run that ended without draining");
  for (;;) {
    try {
      await shipper.skipFolded();
      break;
    } catch (error) {
      options.logger.warn({ err: error, runId }, "cannot look up what is folded; trying again");
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
  await shipper.waitUntilEmpty();
  await options.closeRun(runId);
  shipper.removeDirectory();
  options.logger.info({ runId }, "replayed");
}
