import { seeded } from "../support/hostile-inputs.ts";

/** A seeded source of choices. */
export interface Random {
  /** From 0 up to 1. */
  next(): number;
  chance(probability: number): boolean;
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number;
  oneOf<T>(list: readonly [T, ...T[]] | readonly T[]): T;
  shuffled<T>(list: readonly T[]): T[];
  bytes(length: number): Buffer;
  /** A source of its own, so that one consumer does not change what another gets. */
  fork(): Random;
}

export function createRandom(seed: number): Random {
  const next = seeded(seed);
  const between = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    oneOf: <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T,
    shuffled(list) {
      const rest = [...list];
      return list.map(() => rest.splice(Math.floor(next() * rest.length), 1)[0] as (typeof rest)[number]);
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))),
    fork: () => createRandom(Math.floor(next() * 2 ** 32)),
  };
}
