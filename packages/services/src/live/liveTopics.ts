import { isDeepStrictEqual } from "node:util";
import { EVENT_SUBJECT_PREFIX, eventEnvelope, PUSH_SUBJECTS, usagePush } from "@tollgate/contracts";
import { retryRead } from "@tollgate/db";
import type { Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import { Bell } from "./bell.ts";

/**
 * What many people watch at once. All who watch a topic on this process share one reading of it: it is read when a push
 * says that it may have changed, and slowly by itself, because pushes may be lost. A watcher is handed the newest state
 * when it asks for one, so a slow one misses states in between and nothing piles up for it.
 */
export interface LiveTopic<State> {
  /** Those who give the same key share the reading: it names everything that `read` depends on. */
  readonly key: string;
  read(): Promise<State>;
  isTouchedBy(news: LiveNews): boolean;
  /** For a state that changes by the passing of time alone: how often it is read. */
  readonly everyMs?: number;
}

/** What was pushed: a domain event by its subject, or `usage` for calls that were folded. */
export interface LiveNews {
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The part of a push bus that topics need. */
export interface NewsSource {
  readonly isConnected: boolean;
  subscribe(subject: string, handle: (data: unknown) => void): void;
  onConnected(handle: () => void): void;
}

export interface LiveTopicsOptions {
  /** Without one, every topic is read again and again. */
  readonly news?: NewsSource | undefined;
  readonly logger: Logger;
  readonly paces?: Partial<LivePaces>;
}

export interface LivePaces {
  /** Two readings of a topic are at least so far apart, however much is pushed. */
  readonly gapMs: number;
  /** How often a topic is read without news while pushes come, */
  readonly pollMs: number;
  /** and while they cannot come. */
  readonly pollBlindMs: number;
}

const PACES: LivePaces = { gapMs: 200, pollMs: 5_000, pollBlindMs: 1_000 };

/** A state, and which one it is: versions of one topic on one process count up from 1. */
export interface VersionedState<State> {
  readonly version: number;
  readonly state: State;
}

export class LiveTopics {
  readonly #readings = new Map<string, Reading<unknown>>();
  readonly #news: NewsSource | undefined;
  readonly #logger: Logger;
  readonly #paces: LivePaces;

  constructor(options: LiveTopicsOptions) {
    this.#news = options.news;
    this.#logger = options.logger;
    this.#paces = { ...PACES, ...options.paces };
    this.#news?.subscribe(`${EVENT_SUBJECT_PREFIX}>`, (message) => {
      const { subject, data } = eventEnvelope.parse(message);
      this.#tell({ subject, data });
    });
    this.#news?.subscribe(PUSH_SUBJECTS.usage, (message) =>
      this.#tell({ subject: "usage", data: usagePush.parse(message) }),
    );
    // What was pushed while nobody could hear it.
    this.#news?.onConnected(() => {
      for (const reading of this.#readings.values()) reading.again();
    });
  }

  /** How many topics are watched. */
  get size(): number {
    return this.#readings.size;
  }

  /**
   * The state as it is, and then every change of it, until the signal aborts.
   * @throws what reading failed with, if there is no state yet
   */
  async *watch<State>(topic: LiveTopic<State>, signal: AbortSignal): AsyncGenerator<VersionedState<State>, void> {
    const reading = this.#readingOf(topic);
    reading.watchers += 1;
    let seen = 0;
    try {
      while (!signal.aborted) {
        const newest = reading.newest(seen);
        if (newest === undefined) {
          await reading.changed.wait(signal);
          continue;
        }
        seen = newest.version;
        yield newest;
      }
    } finally {
      reading.watchers -= 1;
      if (reading.watchers === 0) {
        reading.stop();
        if (this.#readings.get(topic.key) === reading) this.#readings.delete(topic.key);
      }
    }
  }

  #readingOf<State>(topic: LiveTopic<State>): Reading<State> {
    const known = this.#readings.get(topic.key) as Reading<State> | undefined;
    if (known !== undefined) return known;
    const intervalMs = (): number => {
      const pollMs = this.#news?.isConnected === true ? this.#paces.pollMs : this.#paces.pollBlindMs;
      return Math.min(pollMs, topic.everyMs ?? pollMs);
    };
    const reading = new Reading(topic, { intervalMs, gapMs: this.#paces.gapMs, logger: this.#logger });
    this.#readings.set(topic.key, reading as Reading<unknown>);
    return reading;
  }

  #tell(news: LiveNews): void {
    for (const reading of this.#readings.values()) if (reading.topic.isTouchedBy(news)) reading.again();
  }
}

/** The one reading of a topic on this process. It runs while somebody watches. */
class Reading<State> {
  readonly topic: LiveTopic<State>;
  /** Rings when there is another state, or when there can be none. */
  readonly changed = new Bell();
  watchers = 0;
  readonly #options: { readonly intervalMs: () => number; readonly gapMs: number; readonly logger: Logger };
  readonly #stopping = new AbortController();
  readonly #due = new Bell();
  #isDue = false;
  #newest: VersionedState<State> | undefined;
  #failure: unknown;

  constructor(
    topic: LiveTopic<State>,
    options: { readonly intervalMs: () => number; readonly gapMs: number; readonly logger: Logger },
  ) {
    this.topic = topic;
    this.#options = options;
    void this.#run();
  }

  /** The state, if it is another one than `seen`. @throws what the first reading failed with */
  newest(seen: number): VersionedState<State> | undefined {
    if (this.#newest === undefined && this.#failure !== undefined) throw this.#failure;
    return this.#newest === undefined || this.#newest.version === seen ? undefined : this.#newest;
  }

  again(): void {
    this.#isDue = true;
    this.#due.ring();
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { gapMs, intervalMs, logger } = this.#options;
    while (!signal.aborted) {
      this.#isDue = false;
      try {
        this.#take(await retryRead(() => this.topic.read()));
      } catch (error) {
        logger.warn({ err: error, topic: this.topic.key }, "a watched topic cannot be read; trying again");
        this.#failure = error;
        if (this.#newest === undefined) this.changed.ring();
      }
      await delay(gapMs, signal);
      if (!this.#isDue) await this.#due.wait(signal, Math.max(0, intervalMs() - gapMs));
    }
  }

  #take(state: State): void {
    this.#failure = undefined;
    if (this.#newest !== undefined && isDeepStrictEqual(state, this.#newest.state)) return;
    this.#newest = { version: (this.#newest?.version ?? 0) + 1, state };
    this.changed.ring();
  }
}
