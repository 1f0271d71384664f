/** A value that is at hand, or will be: the embedded stores answer at once, the others later. */
export type Awaitable<T> = T | Promise<T>;

/** Goes on with a value, at once when it is at hand: a promise on a path of microseconds would be most of its cost. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
