/** A seeded generator of 32-bit numbers (splitmix32), so that a simulation answers the same each time. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state);
  };
}

/** Spreads a number over 32 bits. */
export function mix(value: number): number {
  let z = value | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** A hash of two numbers, as good as random. */
export function hash2(a: number, b: number): number {
  return mix(mix(a ^ 0x5bd1e995) + Math.imul(b, 0x9e3779b1));
}

/** The value below which a share of sorted values lie. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
