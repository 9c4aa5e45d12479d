import type { Logger } from "@tollgate/kernel";
import { delay, jitteredBackoffMs, randomBase62 } from "@tollgate/kernel";
import { monotonicMs } from "./clock.ts";
import { keepLease } from "./leaseKeeper.ts";
import type { EtcdStore, PrefixWatch, StoreLease } from "./store.ts";

/**
 * At most one process at a time does what only one may do. The leader is who created `/tollgate/leaders/<name>`, under a
 * lease that it keeps alive; it gives up by its own clock before etcd would let another take over. A process that was
 * paused can still believe for an instant that it leads, so whatever must not be done twice takes the fencing token along:
 * it grows with every election, and work that carries an older token than the last seen is refused. (The token is a store
 * revision: an etcd that was replaced by an empty one counts from the start again.)
 * (M. Kleppmann, "How to do distributed locking", 2016.)
 */
export const LEADERS_PREFIX = "/tollgate/leaders/";
const DEFAULT_TTL_SECONDS = 5;
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 1_000;

export interface LeaderElectionOptions {
  readonly store: EtcdStore;
  readonly logger: Logger;
  /** What is led, for example `outbox-relay`. */
  readonly name: string;
  /** Another takes over this long after a leader died without a word; 5 unless given. */
  readonly ttlSeconds?: number;
  /** Called when this process becomes the leader. */
  readonly onElected?: (fencingToken: bigint) => void;
  /** Called when it no longer is, whatever the reason: stop at once. */
  readonly onLost?: () => void;
}

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #key: string;
  readonly #candidate = randomBase62(22);
  #campaign: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #token: bigint | undefined;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  /** Ends the wait for the leader's key to vanish. */
  #wake: () => void = () => {};
  #isVacant = false;

  constructor(options: LeaderElectionOptions) {
    if (!/^[a-z0-9-]{1,64}$/.test(options.name)) throw new RangeError(`Not a name for an election: ${options.name}`);
    this.#options = options;
    this.#key = LEADERS_PREFIX + options.name;
  }

  /** Stands for election until {@link resign}; again after every loss. Returns at once. */
  campaign(): void {
    if (this.#campaign !== undefined) return;
    const campaign = new AbortController();
    this.#campaign = campaign;
    this.#running = this.#run(campaign.signal);
  }

  isLeader(): boolean {
    return this.fencingToken() !== undefined;
  }

  /** Greater than every earlier leader's; undefined while this process does not lead. */
  fencingToken(): bigint | undefined {
    // After a pause of the process this is asked before the timer that gives up has run.
    return monotonicMs() < this.#validUntilMs ? this.#token : undefined;
  }

  /** Stops leading, then lets another take over at once, and stands no more. */
  async resign(): Promise<void> {
    this.#campaign?.abort();
    this.#wake();
    await this.#running;
    this.#campaign = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const watch = this.#watchVacancy();
    let failures = 0;
    try {
      while (!signal.aborted) {
        try {
          await this.#untilVacant(signal);
          if (signal.aborted) return;
          await this.#standOnce(signal);
          failures = 0;
        } catch (error) {
          if (failures === 0)
            this.#options.logger.warn({ err: error, election: this.#options.name }, "Cannot stand for election now");
          failures += 1;
          await delay(jitteredBackoffMs(failures, RETRY_BASE_MS, RETRY_CAP_MS), signal);
        }
      }
    } finally {
      watch.close();
    }
  }

  async #standOnce(signal: AbortSignal): Promise<void> {
    const { store, ttlSeconds = DEFAULT_TTL_SECONDS } = this.#options;
    const lease = await store.grantLease(ttlSeconds);
    try {
      const { isCommitted, revision } = await store.transact({
        expect: [{ key: this.#key, revision: 0n }],
        put: [{ key: this.#key, value: this.#candidate, leaseId: lease.id }],
      });
      if (isCommitted && !signal.aborted) await this.#lead(lease, revision, signal);
      // Whoever was faster will be seen by the watch; until then there is nothing to stand for.
      else this.#isVacant = false;
    } finally {
      await this.#giveUp(lease);
    }
  }

  async #lead(lease: StoreLease, fencingToken: bigint, signal: AbortSignal): Promise<void> {
    const { logger, name } = this.#options;
    this.#token = fencingToken;
    this.#validUntilMs = lease.sentMs + lease.ttlMs;
    this.#isVacant = false;
    logger.info({ election: name, fencingToken: String(fencingToken) }, "Elected");
    this.#tell("onElected", () => this.#options.onElected?.(fencingToken));
    const deposed = new AbortController();
    const checkKey = async (): Promise<void> => {
      const entry = await this.#options.store.get(this.#key);
      if (entry?.revision !== fencingToken) deposed.abort();
    };
    // An operator who deletes the key deposes the leader; the deletion of the last leader's key may be news as late as now.
    const stopWaiting = this.#whenVacant(() => {
      checkKey().catch((error: unknown) =>
        logger.debug({ err: error, election: name }, "Checked again with the next keep-alive"),
      );
    });
    try {
      const ended = await keepLease(lease, AbortSignal.any([signal, deposed.signal]), async (validUntilMs) => {
        this.#validUntilMs = validUntilMs;
        await checkKey();
      });
      logger.info(
        { election: name, reason: signal.aborted ? "resigned" : ended === "lost" ? "lease lost" : "deposed" },
        "No longer the leader",
      );
    } finally {
      stopWaiting();
      this.#token = undefined;
      this.#tell("onLost", () => this.#options.onLost?.());
    }
  }

  async #giveUp(lease: StoreLease): Promise<void> {
    try {
      await lease.revoke();
    } catch (error) {
      this.#options.logger.warn(
        { err: error, election: this.#options.name },
        "Could not give up the lease; it will run out by itself",
      );
    }
  }

  #watchVacancy(): PrefixWatch {
    const see = (isVacant: boolean): void => {
      this.#isVacant = isVacant;
      if (isVacant) this.#wake();
    };
    return this.#options.store.watchPrefix(this.#key, {
      onState: (entries) => see(!entries.some(({ key }) => key === this.#key)),
      onPut: ({ key }) => key === this.#key && see(false),
      onDelete: (key) => key === this.#key && see(true),
    });
  }

  async #untilVacant(signal: AbortSignal): Promise<void> {
    if (this.#isVacant || signal.aborted) return;
    // Stands now and then without news as well: a vacancy may be seen and filled again while this side is standing.
    const woken = new AbortController();
    const stopWaiting = this.#whenVacant(() => woken.abort());
    const { ttlSeconds = DEFAULT_TTL_SECONDS } = this.#options;
    await delay(ttlSeconds * 1_000, AbortSignal.any([signal, woken.signal]));
    stopWaiting();
  }

  #whenVacant(act: () => void): () => void {
    this.#wake = act;
    return () => {
      this.#wake = () => {};
    };
  }

  #tell(name: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.logger.error(
        { err: error, election: this.#options.name, listener: name },
        "A listener to an election failed",
      );
    }
  }
}
