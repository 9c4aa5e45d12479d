import type { RateClaim, RateGrant, RateStore } from "./rateStore.ts";
import { rateWindowOf } from "./rateStore.ts";

/** A limit that a call is counted under: at most `perSecond` × `windowSeconds` calls in any window of that length. */
export interface CountedLimit {
  readonly id: string;
  readonly perSecond: number;
  readonly windowSeconds: number;
}

/** What became of a call, limit by limit. */
export interface RateAdmission {
  readonly isAllowed: boolean;
  readonly limits: readonly RateStanding[];
  /** The call was refused for another reason after all: it uses nothing up. */
  giveBack(): Promise<void>;
}

export interface RateStanding {
  readonly quota: number;
  readonly remaining: number;
  /** Seconds until there is room again: the window's length while there is some. */
  readonly resetSeconds: number;
}

/** New windows want to be filled first, and others may begin them anew meanwhile. */
const ATTEMPTS_MAX = 5;

/**
 * Counts single calls in the windows that gateways share, for whoever decides about calls elsewhere: each is asked for, and
 * nothing is held.
 */
export class RateGate {
  readonly #store: RateStore;
  readonly #delay: (ms: number) => Promise<void>;
  #epoch = "";

  constructor(store: RateStore, delay: (ms: number) => Promise<void>) {
    this.#store = store;
    this.#delay = delay;
  }

  /** Counts a call under all of its limits or under none. @throws Error when nobody answers */
  async admit(limits: readonly CountedLimit[]): Promise<RateAdmission> {
    const claims = limits.map((limit) => claimOf(limit, []));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const answer = await this.#store.ask({ epoch: this.#epoch, waiting: 1, claims });
      if (answer.kind === "epoch") this.#epoch = answer.epoch;
      else if (answer.kind === "seeding") await this.#delay(answer.leftMs);
      else return this.#admission(limits, answer.grants, answer.nowMs);
    }
    throw new Error("The windows of rate limits begin again and again");
  }

  #admission(limits: readonly CountedLimit[], grants: readonly RateGrant[], nowMs: number): RateAdmission {
    const isAllowed = grants.every(({ granted }) => granted > 0);
    const epoch = this.#epoch;
    return {
      isAllowed,
      limits: limits.map((limit, index) => standingOf(limit, grants[index])),
      giveBack: async () => {
        if (!isAllowed) return;
        const claims = limits.map((limit) => claimOf(limit, [[slotAt(limit, nowMs), -1]]));
        await this.#store.ask({ epoch, waiting: 0, claims });
      },
    };
  }
}

const slotAt = ({ windowSeconds }: CountedLimit, nowMs: number): number =>
  Math.floor(nowMs / rateWindowOf(windowSeconds).slotMs);

const claimOf = (limit: CountedLimit, corrections: RateClaim["corrections"]): RateClaim => ({
  id: limit.id,
  quota: limit.perSecond * limit.windowSeconds,
  window: rateWindowOf(limit.windowSeconds),
  held: 0,
  spare: 0,
  corrections,
});

function standingOf({ perSecond, windowSeconds }: CountedLimit, grant: RateGrant | undefined): RateStanding {
  const { left = 0, retryMs = 0 } = grant ?? {};
  return {
    quota: perSecond * windowSeconds,
    remaining: left,
    resetSeconds: left > 0 ? windowSeconds : Math.max(1, Math.ceil(retryMs / 1_000)),
  };
}
