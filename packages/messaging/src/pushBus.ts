import type { NatsConnection } from "@nats-io/transport-node";
import { connect } from "@nats-io/transport-node";
import type { Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import { natsServers } from "./natsServers.ts";

/**
 * The connection of one process to NATS. It connects in the background and for ever, so a process starts and lives
 * without NATS; what is published meanwhile is dropped, because something slower and surer stands behind every push.
 */
export class PushBus {
  readonly #logger: Logger;
  readonly #url: string;
  readonly #name: string;
  readonly #subscriptions: { subject: string; handle: (data: unknown, subject: string) => void }[] = [];
  readonly #stopping = new AbortController();
  #connection: NatsConnection | undefined;
  readonly #onConnected: (() => void)[] = [];
  #isConnected = false;
  #connecting: Promise<void>;

  constructor(options: { url: string; name: string; logger: Logger }) {
    this.#url = options.url;
    this.#name = options.name;
    this.#logger = options.logger;
    this.#connecting = this.#connect();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The connection, while there is one; for JetStream. */
  get connection(): NatsConnection | undefined {
    return this.#isConnected ? this.#connection : undefined;
  }

  /** Sends JSON to whoever listens now. @returns false when nobody can hear it */
  publish(subject: string, data: unknown): boolean {
    if (!this.#isConnected || this.#connection === undefined) return false;
    try {
      this.#connection.publish(subject, JSON.stringify(data));
      return true;
    } catch (error) {
      this.#logger.warn({ err: error, subject }, "push failed");
      return false;
    }
  }

  /** Calls `handle` with every JSON message of a subject (wildcards allowed), over every reconnection. */
  subscribe(subject: string, handle: (data: unknown, subject: string) => void): void {
    this.#subscriptions.push({ subject, handle });
    if (this.#connection !== undefined) this.#listen(this.#connection, subject, handle);
  }

  /** Calls `handle` at every connection, the first included: what was pushed before it was not heard. */
  onConnected(handle: () => void): void {
    this.#onConnected.push(handle);
    if (this.#isConnected) handle();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#connecting;
    this.#isConnected = false;
    if (this.#connection !== undefined && !this.#connection.isClosed()) {
      await this.#connection.flush().catch((error: unknown) => this.#logger.debug({ err: error }, "not flushed"));
      await this.#connection.close();
    }
  }

  async #connect(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        const connection = await connect({
          ...natsServers(this.#url),
          name: this.#name,
          timeout: 2_000,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 200,
          reconnectJitter: 100,
          pingInterval: 5_000,
          maxPingOut: 2,
        });
        this.#connection = connection;
        this.#isConnected = true;
        void this.#watch(connection);
        for (const { subject, handle } of this.#subscriptions) this.#listen(connection, subject, handle);
        for (const handle of this.#onConnected) handle();
        return;
      } catch (error) {
        this.#logger.warn({ err: error }, "NATS cannot be reached; trying again");
        await delay(500, this.#stopping.signal);
      }
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") {
        this.#isConnected = false;
        this.#logger.warn("NATS is gone; reconnecting");
      }
      if (status.type === "reconnect") {
        this.#isConnected = true;
        this.#logger.info("NATS is back");
        for (const handle of this.#onConnected) handle();
      }
    }
    if (this.#stopping.signal.aborted) return;
    // The client gave up for good (it does after an authentication error, for example): begin anew.
    this.#isConnected = false;
    this.#connection = undefined;
    this.#connecting = this.#connect();
  }

  #listen(connection: NatsConnection, subject: string, handle: (data: unknown, subject: string) => void): void {
    connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) {
          this.#logger.warn({ err: error, subject }, "subscription failed");
          return;
        }
        try {
          handle(message.json(), message.subject);
        } catch (failure) {
          this.#logger.warn({ err: failure, subject: message.subject }, "push not understood");
        }
      },
    });
  }
}
