import { delay, randomBase62, TollgateError } from "@tollgate/kernel";
import type { ServiceContext } from "@tollgate/services";
import { INTERNAL_DOMAIN } from "@tollgate/services/customers";
import {
  admitStranger,
  claimSelfTest,
  forgetStrangers,
  prepareSelfTest,
  recordSelfTest,
  SELF_TEST_API,
  SELF_TEST_ENDPOINT,
  SELF_TEST_PRICE_MICROS,
} from "@tollgate/services/status";
import type { WalkOutcome } from "./walkAsStranger.ts";
import { walkAsStranger } from "./walkAsStranger.ts";

const LOOK_EVERY_MS = 10_000;

export interface SelfTestOptions {
  readonly ctx: ServiceContext;
  /** Whether it is this process that walks, and whether anybody should. */
  mayWalk(): boolean;
  /** Others that start at the same time are given so long to come up. */
  readonly firstAfterMs?: number;
}

/**
 * Walks through the product as a stranger every five minutes. It runs by a timer of its own and not as a job, so that a
 * queue that is gone does not hide that it is. The worker that leads does it, and whoever claims it first while nobody can
 * say who leads.
 * @returns stops it, and resolves when nothing is under way any more; a walk that is cut off is not counted
 */
export function keepSelfTested({ ctx, mayWalk, firstAfterMs = 60_000 }: SelfTestOptions): () => Promise<void> {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    await delay(firstAfterMs, stopping.signal);
    while (!stopping.signal.aborted) {
      if (mayWalk()) await selfTestIfDue(ctx, stopping.signal);
      await delay(LOOK_EVERY_MS, stopping.signal);
    }
  };
  const running = run();
  return async () => {
    stopping.abort();
    await running;
  };
}

/** One self-test, if it is time for one. Without the database there is nothing to walk on, and the status says so already. */
export async function selfTestIfDue(ctx: ServiceContext, signal: AbortSignal): Promise<WalkOutcome | undefined> {
  try {
    const id = await claimSelfTest({ ctx });
    if (id === undefined) return undefined;
    const outcome = await selfTest(ctx, signal);
    if (signal.aborted) return undefined;
    await recordSelfTest({ ctx, input: { id, ...outcome } });
    if (outcome.failure === null) ctx.logger.debug({ steps: outcome.steps }, "the self-test has passed");
    else ctx.logger.error({ ...outcome.failure, selfTestId: id }, "the self-test has failed");
    await forgetStrangers({ ctx });
    return outcome;
  } catch (error) {
    ctx.logger.warn({ err: error }, "the self-test cannot be run or noted");
    return undefined;
  }
}

async function selfTest(ctx: ServiceContext, signal: AbortSignal): Promise<WalkOutcome> {
  let projectId: string;
  try {
    ({ projectId } = await prepareSelfTest({ ctx }));
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    return { steps: [], failure: { step: "prepare", error: error.message } };
  }
  const email = `stranger-${randomBase62(16).toLowerCase()}@${INTERNAL_DOMAIN}`;
  return walkAsStranger({
    apiUrl: ctx.settings.publicApiUrl,
    gatewayUrl: ctx.settings.publicGatewayUrl,
    call: `${SELF_TEST_API}/${SELF_TEST_ENDPOINT}`,
    priceMicros: SELF_TEST_PRICE_MICROS,
    email,
    readCode: () => admitStranger({ ctx, input: { email, projectId } }),
    signal,
  });
}
