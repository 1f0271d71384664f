/** The value at a quantile from 0 to 1 of unsorted numbers, by nearest rank; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** The middle value, the lower of two. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
