/**
 * How many calls passed in each slot of a window, and in all of it: what a gateway remembers of its own calls. A slot is a
 * number that grows with time; whoever uses the window says how long one is.
 */
export class SlidingWindow {
  readonly #counts: Int32Array;
  #count = 0;
  #slot = 0;

  /** @param slots how many slots, with the present one, belong to the window */
  constructor(slots: number) {
    this.#counts = new Int32Array(slots);
  }

  /** The calls of the window that ends with a slot. A clock that steps back changes nothing until it has caught up. */
  used(slot: number): number {
    this.#advance(slot);
    return this.#count;
  }

  count(slot: number): void {
    this.#advance(slot);
    this.#add(slot, 1);
  }

  /** Takes back a call that was counted and then, maybe some time later, refused for another reason. */
  uncount(slot: number): void {
    this.#add(slot, -1);
  }

  /** The slots in which calls passed, with how many. */
  entries(): [slot: number, calls: number][] {
    const entries: [number, number][] = [];
    for (let slot = this.#slot - this.#counts.length + 1; slot <= this.#slot; slot += 1) {
      const calls = slot < 0 ? 0 : (this.#counts[slot % this.#counts.length] ?? 0);
      if (calls > 0) entries.push([slot, calls]);
    }
    return entries;
  }

  #add(slot: number, calls: number): void {
    if (slot > this.#slot || slot <= this.#slot - this.#counts.length) return;
    const index = slot % this.#counts.length;
    this.#counts[index] = (this.#counts[index] ?? 0) + calls;
    this.#count += calls;
  }

  #advance(slot: number): void {
    if (slot <= this.#slot) return;
    const { length } = this.#counts;
    const steps = Math.min(slot - this.#slot, length);
    for (let step = 1; step <= steps; step += 1) {
      const index = (slot - steps + step) % length;
      this.#count -= this.#counts[index] ?? 0;
      this.#counts[index] = 0;
    }
    this.#slot = slot;
  }
}
