/** How many slow endpoints are remembered. */
const SLOW_MAX = 10_000;

/**
 * Who may send at this moment, in one process. An endpoint has a few slots, so a slow one holds up itself; one that is
 * failing, or took long to answer when it was last asked, has a single slot, and all of those together have half of the
 * process, so any number of dead and slow endpoints leaves the other half to the rest. Whoever is turned away is not
 * forgotten: whoever has a slot looks again before leaving, and what nobody saw the sweep wakes.
 */
export class EndpointSlots {
  readonly #perEndpoint: number;
  readonly #restrictedMax: number;
  readonly #taken = new Map<string, { count: number; isWanted: boolean }>();
  /** In the order in which they were found to be slow. */
  readonly #slow = new Set<string>();
  #restricted = 0;

  constructor(options: { readonly perEndpoint: number; readonly restrictedMax: number }) {
    this.#perEndpoint = options.perEndpoint;
    this.#restrictedMax = options.restrictedMax;
  }

  /** @returns undefined when there is no room */
  enter(endpointId: string, isFailing: boolean): EndpointSlot | undefined {
    const isRestricted = isFailing || this.#slow.has(endpointId);
    const taken = this.#taken.get(endpointId) ?? { count: 0, isWanted: false };
    if (taken.count >= (isRestricted ? 1 : this.#perEndpoint)) {
      taken.isWanted = true;
      return undefined;
    }
    if (isRestricted && this.#restricted >= this.#restrictedMax) return undefined;
    taken.count += 1;
    if (isRestricted) this.#restricted += 1;
    this.#taken.set(endpointId, taken);
    const leave = (): void => {
      taken.count -= 1;
      if (isRestricted) this.#restricted -= 1;
      if (taken.count === 0) this.#taken.delete(endpointId);
    };
    return { isRestricted, leave };
  }

  /** Remembers whether an endpoint took long to answer, until it answers again. */
  noteAnswer(endpointId: string, isSlow: boolean): void {
    this.#slow.delete(endpointId);
    if (isSlow) this.#slow.add(endpointId);
    if (this.#slow.size <= SLOW_MAX) return;
    for (const oldest of this.#slow) {
      this.#slow.delete(oldest);
      break;
    }
  }

  /** Whether somebody was turned away since this was last asked; whoever asks takes it upon themselves to look again. */
  wasWanted(endpointId: string): boolean {
    const taken = this.#taken.get(endpointId);
    if (taken?.isWanted !== true) return false;
    taken.isWanted = false;
    return true;
  }
}

export interface EndpointSlot {
  /** Whether it is one of those that failing and slow endpoints share. */
  readonly isRestricted: boolean;
  leave(): void;
}
