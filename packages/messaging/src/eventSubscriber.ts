import type { Consumer, JsMsg } from "@nats-io/jetstream";
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { EVENT_PARTITIONS } from "@tollgate/contracts";
import type { Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import { ACK_WAIT_MS, durableName, EVENT_STREAM, ensureEventConsumer } from "./eventStream.ts";
import type { PushBus } from "./pushBus.ts";

/** How long a process asks for the next message before it asks again; also how long stopping takes at most. */
const ASK_MS = 1_500;
const PAUSE_AFTER_FAILURE_MS = 500;
/** A message that could not be handled now comes again after this. */
const AGAIN_AFTER_MS = 1_000;
/** Asking that finds nothing for so often looks whether the consumer is still there. */
const EMPTY_ASKS_MAX = 4;

/**
 * Consumes the event stream for one domain: a loop per partition, each with one message at a time. It outlives NATS being
 * away, and makes its consumers anew when they are gone; the stream is the relay's to make.
 */
export class EventSubscriber {
  readonly #options: EventSubscriberOptions;
  readonly #stopping = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: EventSubscriberOptions) {
    this.#options = options;
  }

  start(): void {
    const partitions = Array.from({ length: EVENT_PARTITIONS }, (_, partition) => this.#consume(partition));
    this.#loops = Promise.all(partitions);
  }

  /** Finishes the messages at hand. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loops;
  }

  async #consume(partition: number): Promise<void> {
    const { bus, logger, name } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const { connection } = bus;
      try {
        if (connection !== undefined) await this.#consumeFrom(connection, partition);
      } catch (error) {
        logger.debug({ err: error, consumer: name, partition }, "events cannot be consumed now; trying again");
      }
      await delay(PAUSE_AFTER_FAILURE_MS, signal);
    }
  }

  async #consumeFrom(connection: NatsConnection, partition: number): Promise<void> {
    const { name } = this.#options;
    await ensureEventConsumer(connection, name, partition);
    const consumer = await jetstream(connection).consumers.get(EVENT_STREAM, durableName(name, partition));
    let emptyAsks = 0;
    while (!this.#stopping.signal.aborted && this.#options.bus.connection === connection) {
      const message = await consumer.next({ expires: ASK_MS });
      if (message !== null) {
        emptyAsks = 0;
        await this.#handle(message);
        continue;
      }
      emptyAsks += 1;
      if (emptyAsks % EMPTY_ASKS_MAX === 0) await assertThere(consumer);
    }
  }

  async #handle(message: JsMsg): Promise<void> {
    const busy = setInterval(() => message.working(), ACK_WAIT_MS / 3);
    try {
      await this.#options.handle(message.string());
      message.ack();
    } catch (error) {
      this.#options.logger.warn({ err: error, consumer: this.#options.name }, "an event must come again");
      message.nak(AGAIN_AFTER_MS);
    } finally {
      clearInterval(busy);
    }
  }
}

export interface EventSubscriberOptions {
  readonly bus: PushBus;
  readonly logger: Logger;
  /** The consuming domain. */
  readonly name: string;
  /** Does all there is to do about a message. When it throws, the message comes again. */
  readonly handle: (text: string) => Promise<unknown>;
}

/** @throws Error when the consumer has gone, with its stream or without */
async function assertThere(consumer: Consumer): Promise<void> {
  await consumer.info();
}
