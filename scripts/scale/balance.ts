import { hash2 } from "./random.ts";

/** Which replica each key goes to. */
export type Assignment = Uint16Array;

/**
 * Ring hashing as Envoy does it (ring_hash_lb.cc): every replica is on the ring as often as gives at least `minRingSize`
 * places, and a key goes to the next place.
 */
export function ringHash(replicas: readonly number[], minRingSize: number, keys: number): Assignment {
  const places = Math.ceil(minRingSize / replicas.length);
  const ring = new Float64Array(replicas.length * places);
  let next = 0;
  for (const replica of replicas) {
    // Position and owner in one number: 32 bits and 16.
    for (let place = 0; place < places; place += 1) ring[next++] = hash2(replica, place) * 65_536 + replica;
  }
  ring.sort();
  const assigned = new Uint16Array(keys);
  for (let key = 0; key < keys; key += 1) {
    const position = hash2(key, 0x7fffffff) * 65_536;
    let low = 0;
    let high = ring.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ring[middle]! < position) low = middle + 1;
      else high = middle;
    }
    assigned[key] = ring[low % ring.length]! % 65_536;
  }
  return assigned;
}

/** Maglev's table (https://research.google/pubs/pub44824/, section 3.4) with Envoy's size. */
export function maglev(replicas: readonly number[], keys: number): Assignment {
  const size = 65_537;
  const table = new Int32Array(size).fill(-1);
  const steps = replicas.map((replica) => ({
    replica,
    offset: hash2(replica, 1) % size,
    skip: (hash2(replica, 2) % (size - 1)) + 1,
  }));
  for (let filled = 0; filled < size; ) {
    for (const step of steps) {
      while (table[step.offset] !== -1) step.offset = (step.offset + step.skip) % size;
      table[step.offset] = step.replica;
      filled += 1;
      if (filled === size) break;
    }
  }
  return Uint16Array.from({ length: keys }, (_, key) => table[hash2(key, 0x7fffffff) % size]!);
}

/** Keys of the busiest replica, and of the one that only one in a hundred exceeds, as multiples of the mean. */
export function loadOf(
  assigned: Assignment,
  replicas: readonly number[],
): { readonly max: number; readonly p99: number } {
  const counts = new Map(replicas.map((replica) => [replica, 0]));
  for (const replica of assigned) counts.set(replica, (counts.get(replica) ?? 0) + 1);
  const sorted = [...counts.values()].sort((a, b) => b - a);
  const mean = assigned.length / replicas.length;
  return { max: (sorted[0] ?? 0) / mean, p99: (sorted[Math.floor(replicas.length / 100)] ?? 0) / mean };
}

/** Share of keys that went to another replica, other than those whose replica left. */
export function movedShare(before: Assignment, after: Assignment): number {
  let moved = 0;
  for (let key = 0; key < before.length; key += 1) if (before[key] !== after[key]) moved += 1;
  return moved / before.length;
}
