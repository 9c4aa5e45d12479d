/**
 * Who may send at this moment, in one process. An endpoint has a few slots, so a slow one holds up itself; one that is
 * failing has a single slot, and all that are failing together have half of the process, so any number of dead endpoints
 * leaves the other half to the living. Whoever is turned away is not forgotten: whoever has a slot looks again before
 * leaving, and what nobody saw the sweep wakes.
 */
export class EndpointSlots {
  readonly #perEndpoint: number;
  readonly #failingMax: number;
  readonly #taken = new Map<string, { count: number; isWanted: boolean }>();
  #failing = 0;

  constructor(options: { readonly perEndpoint: number; readonly failingMax: number }) {
    this.#perEndpoint = options.perEndpoint;
    this.#failingMax = options.failingMax;
  }

  /** @returns how to leave again; undefined when there is no room */
  enter(endpointId: string, isFailing: boolean): (() => void) | undefined {
    const taken = this.#taken.get(endpointId) ?? { count: 0, isWanted: false };
    if (taken.count >= (isFailing ? 1 : this.#perEndpoint)) {
      taken.isWanted = true;
      return undefined;
    }
    if (isFailing && this.#failing >= this.#failingMax) return undefined;
    taken.count += 1;
    if (isFailing) this.#failing += 1;
    this.#taken.set(endpointId, taken);
    return () => {
      taken.count -= 1;
      if (isFailing) this.#failing -= 1;
      if (taken.count === 0) this.#taken.delete(endpointId);
    };
  }

  /** Whether somebody was turned away since this was last asked; whoever asks takes it upon themselves to look again. */
  wasWanted(endpointId: string): boolean {
    const taken = this.#taken.get(endpointId);
    if (taken?.isWanted !== true) return false;
    taken.isWanted = false;
    return true;
  }
}
