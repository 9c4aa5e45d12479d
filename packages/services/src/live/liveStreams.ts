import type { Database } from "@tollgate/db";
import type { Actor, Clock, Logger } from "@tollgate/kernel";
import { actorName, groupBy, newId, TollgateError, unauthorized, unavailable } from "@tollgate/kernel";
import type { LivePaces, LiveTopic, NewsSource } from "./liveTopics.ts";
import { LiveTopics } from "./liveTopics.ts";
import { checkStanding } from "./standingCallers.ts";

/**
 * Streams that stay open: how many somebody may have, and whether they still may. Who opened a stream is asked for again
 * and again while it is open, all sessions of this process in one query, so that a ban, a sign-out or a lost membership
 * ends it within a second.
 */
export interface LiveOpening<State> {
  readonly topic: LiveTopic<State>;
  /** Asked again while the stream is open; throws when the caller may not watch any more. */
  readonly permission: {
    /** Streams that give the same key ask once for all: it names the caller and what they want. */
    readonly key: string;
    require(): Promise<unknown>;
  };
}

export interface LiveLimits {
  readonly streamsMax: number;
  readonly streamsPerCallerMax: number;
  /** Then the client connects again, with a token of today, to whichever process there is. */
  readonly streamMsMax: number;
  readonly recheckMs: number;
}

const LIMITS: LiveLimits = {
  streamsMax: 2_000,
  streamsPerCallerMax: 20,
  streamMsMax: 15 * 60_000,
  recheckMs: 400,
};
const RECHECKS_AT_ONCE = 8;

export interface LiveStreamsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly news?: NewsSource | undefined;
  readonly paces?: Partial<LivePaces>;
  readonly limits?: Partial<LiveLimits>;
}

/** What leaves a stream: a state, and an id with which a client says that it has it. */
export interface LiveMessage<State> {
  readonly id: string;
  readonly state: State;
}

interface OpenStream {
  readonly actor: Actor;
  readonly permission: LiveOpening<unknown>["permission"];
  readonly ending: AbortController;
}

/** One per process. */
export class LiveStreams {
  readonly topics: LiveTopics;
  readonly #options: LiveStreamsOptions;
  readonly #limits: LiveLimits;
  readonly #streams = new Set<OpenStream>();
  readonly #perCaller = new Map<string, number>();
  /** Ids of another process mean nothing here. */
  readonly #processId = newId("request");
  #rechecking: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: LiveStreamsOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.topics = new LiveTopics(options);
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size;
  }

  /**
   * The states of a topic for one caller. A client that has the newest state already (`lastEventId`) is not sent it again.
   * @throws TollgateError TOO_MANY_REQUESTS `too_many_streams`, UNAVAILABLE; when the caller may not watch any more,
   * what its permission says
   * @throws DOMException AbortError when the process wants the client to connect again
   */
  async *open<State>(options: {
    readonly actor: Actor;
    readonly opening: LiveOpening<State>;
    readonly signal: AbortSignal;
    readonly lastEventId?: string | undefined;
  }): AsyncGenerator<LiveMessage<State>, void> {
    const { actor, opening, signal, lastEventId } = options;
    const stream: OpenStream = { actor, permission: opening.permission, ending: new AbortController() };
    this.#admit(stream);
    const expiry = setTimeout(() => stream.ending.abort(connectAgain()), this.#limits.streamMsMax);
    try {
      const either = AbortSignal.any([signal, stream.ending.signal]);
      for await (const { version, state } of this.topics.watch(opening.topic, either)) {
        const id = `${this.#processId}.${version}`;
        if (id !== lastEventId) yield { id, state };
      }
      if (stream.ending.signal.aborted) throw stream.ending.signal.reason;
    } finally {
      clearTimeout(expiry);
      this.#leave(stream);
    }
  }

  /** Ends every stream in the way in which a client connects again, and takes no more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#rechecking);
    for (const stream of this.#streams) stream.ending.abort(connectAgain());
  }

  #admit(stream: OpenStream): void {
    if (this.#isClosed || this.#streams.size >= this.#limits.streamsMax) {
      throw unavailable("No more streams can be opened here: try again", { reason: "streams_exhausted" });
    }
    const caller = callerOf(stream.actor);
    const open = this.#perCaller.get(caller) ?? 0;
    const { streamsPerCallerMax } = this.#limits;
    if (open >= streamsPerCallerMax) {
      throw new TollgateError("TOO_MANY_REQUESTS", `At most ${streamsPerCallerMax} streams may be open at a time`, {
        reason: "too_many_streams",
        retryAfterSeconds: 5,
      });
    }
    this.#perCaller.set(caller, open + 1);
    this.#streams.add(stream);
    if (this.#streams.size === 1) this.#recheckLater();
  }

  #leave(stream: OpenStream): void {
    this.#streams.delete(stream);
    const caller = callerOf(stream.actor);
    const open = (this.#perCaller.get(caller) ?? 1) - 1;
    if (open === 0) this.#perCaller.delete(caller);
    else this.#perCaller.set(caller, open);
  }

  #recheckLater(): void {
    clearTimeout(this.#rechecking);
    if (this.#isClosed || this.#streams.size === 0) return;
    this.#rechecking = setTimeout(() => {
      this.#recheck()
        // Without the database nothing is read for the streams either: they stand still until it is back.
        .catch((error: unknown) => this.#options.logger.warn({ err: error }, "open streams cannot be checked"))
        .finally(() => this.#recheckLater());
    }, this.#limits.recheckMs);
  }

  async #recheck(): Promise<void> {
    await Promise.all([this.#recheckSessions(), this.#recheckPermissions()]);
  }

  async #recheckSessions(): Promise<void> {
    const streams = [...this.#streams].flatMap((stream) =>
      stream.actor.kind === "customer" ? [{ stream, actor: stream.actor }] : [],
    );
    if (streams.length === 0) return;
    const { database, clock } = this.#options;
    const isStanding = await checkStanding(
      database,
      clock,
      streams.map(({ actor }) => actor),
    );
    for (const { stream, actor } of streams) {
      if (isStanding(actor)) continue;
      stream.ending.abort(unauthorized("This session has ended: sign in again", { reason: "session_ended" }));
    }
  }

  async #recheckPermissions(): Promise<void> {
    const waiting = [...groupBy(this.#streams, ({ permission }) => permission.key).values()];
    const work = async (): Promise<void> => {
      for (let streams = waiting.pop(); streams !== undefined; streams = waiting.pop()) {
        await this.#recheckPermission(streams);
      }
    };
    await Promise.all(Array.from({ length: RECHECKS_AT_ONCE }, work));
  }

  async #recheckPermission(streams: readonly OpenStream[]): Promise<void> {
    try {
      await streams[0]?.permission.require();
    } catch (error) {
      if (!(error instanceof TollgateError) || error.isFault) throw error;
      for (const stream of streams) stream.ending.abort(error);
    }
  }
}

/** Not an error to anyone: the stream ends without its last word, and clients that know streams open it anew. */
const connectAgain = (): DOMException => new DOMException("Connect again", "AbortError");

const callerOf = (actor: Actor): string => actorName(actor);
