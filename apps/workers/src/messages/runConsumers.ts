import type { Clock, Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import type { PushBus } from "@tollgate/messaging";
import { EventSubscriber } from "@tollgate/messaging";
import type { ServiceContext } from "@tollgate/services";
import type { Consumer, EventOutcome, RetryPolicy } from "@tollgate/services/messages";
import { DEFAULT_RETRY_POLICY, handleEvent, retryParkedEvents } from "@tollgate/services/messages";

const RETRY_LOOK_MS = 1_000;
const RETRIES_AT_ONCE = 50;

export interface RunningConsumers {
  /** Finishes the events at hand. */
  stop(): Promise<void>;
}

/** Consumes the event stream for every consumer, and tries again what could not be handled. */
export function runConsumers(options: {
  readonly consumers: readonly Consumer[];
  readonly contextFor: (task: string) => ServiceContext;
  readonly bus: PushBus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy?: RetryPolicy;
  readonly onOutcome?: (consumer: string, outcome: EventOutcome) => void;
}): RunningConsumers {
  const { consumers, contextFor, bus, logger, policy = DEFAULT_RETRY_POLICY } = options;
  const subscribers = consumers.map((consumer) => {
    const { name } = consumer;
    const handle = async (text: string): Promise<void> => {
      const outcome = await handleEvent({ ctx: contextFor(name), input: { consumer, text, policy } });
      options.onOutcome?.(name, outcome);
    };
    return new EventSubscriber({ bus, logger, name, handle });
  });
  for (const subscriber of subscribers) subscriber.start();
  const stopping = new AbortController();
  const retrying = keepRetrying(stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all([retrying, ...subscribers.map((subscriber) => subscriber.stop())]);
    },
  };

  async function keepRetrying(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const input = { consumers, policy, limit: RETRIES_AT_ONCE };
        const tried = await retryParkedEvents({ ctx: contextFor("messages"), input });
        // Behind each that went well the next of its lane may be waiting.
        if (tried > 0) continue;
      } catch (error) {
        logger.warn({ err: error }, "events that wait cannot be tried again now");
      }
      await delay(RETRY_LOOK_MS, signal);
    }
  }
}
