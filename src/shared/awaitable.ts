/** A value that is at hand, or will be: the embedded stores answer at once, the others later. */
export type Awaitable<T> = T | Promise<T>;

/** Goes on with a value, at once when it is at hand: a promise on a path of microseconds would be most of its cost. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Goes on with several values, at once when all are at hand. */
export function chainAll<T extends readonly unknown[], U>(
  values: { readonly [K in keyof T]: Awaitable<T[K]> },
  next: (values: T) => Awaitable<U>,
): Awaitable<U> {
  if (values.some((value) => value instanceof Promise)) {
    return Promise.all(values).then((settled) => next(settled as unknown as T));
  }
  return next(values as unknown as T);
}
