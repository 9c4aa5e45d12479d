/** A list in pieces of at most a size, in its order: what would be too much at once is done one after the other. */
export function* chunksOf<Item>(items: readonly Item[], size: number): Generator<Item[], void> {
  if (!(size >= 1)) throw new RangeError(`There are no pieces of ${size}`);
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
