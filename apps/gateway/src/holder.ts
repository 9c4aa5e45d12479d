import { performance } from "node:perf_hooks";
import type { Logger } from "@tollgate/kernel";
import { HOLDER_LIFETIME_MS } from "@tollgate/services/budgets";

/**
 * This run as a holder of leases. It renews itself every few seconds; when it has not been able to for a while, what it
 * holds may be given to others, so it stops spending well before that. Elapsed time is measured by the monotonic clock:
 * a wall clock that steps must not lengthen a lease.
 */
export interface HolderPorts {
  open(holderId: string): Promise<void>;
  /** @returns false when the holder was closed by others */
  renew(holderId: string): Promise<boolean>;
}

const RENEW_MS = 5_000;
/** Spending stops this long before the lease may be given up. */
const MARGIN_MS = 10_000;

export class Holder {
  readonly #runId: string;
  readonly #ports: HolderPorts;
  readonly #logger: Logger;
  readonly #onReopened: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #past: string[] = [];
  #epoch = 0;
  #id: string;
  #validUntilTick = Number.NEGATIVE_INFINITY;
  #work: Promise<void> | undefined;

  constructor(options: { runId: string; ports: HolderPorts; logger: Logger; onReopened: () => void }) {
    this.#runId = options.runId;
    this.#ports = options.ports;
    this.#logger = options.logger;
    this.#onReopened = options.onReopened;
    this.#id = `${options.runId}.0`;
    this.#timer = setInterval(() => void this.#renew(), RENEW_MS);
    this.#timer.unref();
  }

  /** The name under which budgets are held, or undefined while what is held may not be spent. */
  readonly current = (): string | undefined => (performance.now() < this.#validUntilTick ? this.#id : undefined);

  /** Every name this run has held budgets under. */
  get ids(): readonly string[] {
    return [...this.#past, this.#id];
  }

  /** Opens the holder; tries until the database answers or the holder is stopped. */
  async open(): Promise<void> {
    await this.#openOnce();
  }

  /** The database says that our leases were given up: begin anew, under another name. */
  reopen(): void {
    this.#work ??= this.#reopenOnce().finally(() => {
      this.#work = undefined;
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #renew(): Promise<void> {
    if (this.#work !== undefined) return;
    const askedAt = performance.now();
    try {
      if (this.#validUntilTick === Number.NEGATIVE_INFINITY) await this.#openOnce();
      else if (await this.#ports.renew(this.#id)) this.#validUntilTick = askedAt + HOLDER_LIFETIME_MS - MARGIN_MS;
      else this.reopen();
    } catch (error) {
      this.#logger.warn({ err: error }, "the leases cannot be renewed; trying again");
    }
  }

  async #reopenOnce(): Promise<void> {
    this.#logger.warn({ holderId: this.#id }, "this gateway's leases were given up; beginning anew");
    this.#validUntilTick = Number.NEGATIVE_INFINITY;
    this.#past.push(this.#id);
    this.#epoch += 1;
    this.#id = `${this.#runId}.${this.#epoch}`;
    this.#onReopened();
    try {
      await this.#openOnce();
    } catch (error) {
      this.#logger.warn({ err: error }, "cannot open the leases anew; trying again");
    }
  }

  async #openOnce(): Promise<void> {
    const askedAt = performance.now();
    await this.#ports.open(this.#id);
    this.#validUntilTick = askedAt + HOLDER_LIFETIME_MS - MARGIN_MS;
  }
}
