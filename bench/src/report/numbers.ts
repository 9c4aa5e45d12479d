/** The middle one of some numbers. @throws RangeError for none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  if (upper === undefined) throw new RangeError("There is no median of nothing");
  if (!Number.isInteger(middle)) return upper;
  return (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The median of something that is known of some items; undefined when it is known of none. */
export function medianOf<Item>(
  items: readonly Item[] | undefined,
  value: (item: Item) => number | undefined,
): number | undefined {
  const known = (items ?? []).map(value).filter((each) => each !== undefined);
  return known.length === 0 ? undefined : median(known);
}

/** The slope of the straight line through some points that fits best (least squares), in y per x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const count = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count;
  let covariance = 0;
  let variance = 0;
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  if (variance === 0) throw new RangeError("A line needs two different points");
  return covariance / variance;
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const whole = (value: number | bigint): string => grouped.format(value);
export const times = (value: number): string => `${value.toFixed(2)}×`;
export const fixed = (value: number, digits: number): string => value.toFixed(digits);
export const percent = (share: number): string => `${Math.round(share * 100)}%`;
/** A number as it is shown, or a dash for one that is not known. */
export const shown = (value: number | undefined, format: (value: number) => string): string =>
  value === undefined || Number.isNaN(value) ? "–" : format(value);
