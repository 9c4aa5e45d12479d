/** What a {@link DigestCache} has to know of what it holds. */
export interface Digested<Entry> {
  /** 32 bytes of SHA-256, a character each: half of what hexadecimals would take. */
  readonly digest: string;
  /** Asked for since the hand passed. */
  wasUsed: boolean;
  /** Another one whose digest begins alike. */
  alike: Entry | undefined;
}

/**
 * Entries by the SHA-256 of what they are asked for by, at most so many. Found in the same few places of memory however many
 * there are: with a million of them nearly every place is one that no processor's cache holds, so their number is the cost.
 * They are kept under a number, the digest's first bytes, because a map of texts compares what lies elsewhere; and which
 * was used is noted in the entry itself, because a list in order of use is written to in five more places.
 *
 * Which one goes when there are too many is the clock's choice, a near relation of least recently used: a hand goes round,
 * spares what was used since it came by, and takes what was not (F. J. Corbató, A Paging Experiment with the Multics System,
 * 1968).
 */
export class DigestCache<Entry extends Digested<Entry>> {
  readonly #entriesMax: number;
  readonly #byStart = new Map<number, Entry>();
  #size = 0;
  #hand: Iterator<[number, Entry]> | undefined;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#size;
  }

  get(digest: string): Entry | undefined {
    let entry = this.#byStart.get(startOf(digest));
    while (entry !== undefined && entry.digest !== digest) entry = entry.alike;
    if (entry !== undefined) entry.wasUsed = true;
    return entry;
  }

  /** Adds an entry, or puts it in the place of the one with its digest. */
  set(entry: Entry): void {
    this.delete(entry.digest);
    while (this.#size >= this.#entriesMax) this.#takeOne();
    const start = startOf(entry.digest);
    entry.alike = this.#byStart.get(start);
    this.#byStart.set(start, entry);
    this.#size += 1;
  }

  delete(digest: string): void {
    const start = startOf(digest);
    const first = this.#byStart.get(start);
    if (first === undefined) return;
    const entries = chain(first);
    const kept = entries.filter((entry) => entry.digest !== digest);
    this.#size -= entries.length - kept.length;
    this.#keep(start, kept);
  }

  *values(): Generator<Entry> {
    for (const first of this.#byStart.values()) yield* chain(first);
  }

  /** Moves the hand on, to the next that was not used since it came by. What it spares is behind it: last in the map. */
  #takeOne(): void {
    for (;;) {
      this.#hand ??= this.#byStart.entries();
      const step = this.#hand.next();
      if (step.done === true) {
        this.#hand = undefined;
        continue;
      }
      const [start, first] = step.value;
      const entries = chain(first);
      const kept = entries.filter((entry) => entry.wasUsed);
      for (const entry of kept) entry.wasUsed = false;
      this.#byStart.delete(start);
      this.#keep(start, kept);
      this.#size -= entries.length - kept.length;
      if (kept.length < entries.length) return;
    }
  }

  #keep(start: number, entries: readonly Entry[]): void {
    const [first] = entries;
    if (first === undefined) {
      this.#byStart.delete(start);
      return;
    }
    for (const [index, entry] of entries.entries()) entry.alike = entries[index + 1];
    this.#byStart.set(start, first);
  }
}

/** Those of one start, as a list: of a million, some hundred share theirs with another. */
function chain<Entry extends Digested<Entry>>(first: Entry): Entry[] {
  const entries: Entry[] = [];
  for (let entry: Entry | undefined = first; entry !== undefined; entry = entry.alike) entries.push(entry);
  return entries;
}

/** A number that the engine keeps in the map itself, not beside it: 31 bits. */
function startOf(digest: string): number {
  return (
    ((digest.charCodeAt(0) & 0x3f) << 24) |
    (digest.charCodeAt(1) << 16) |
    (digest.charCodeAt(2) << 8) |
    digest.charCodeAt(3)
  );
}
