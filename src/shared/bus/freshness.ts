/**
 * Knows whether a feed has been confirmed lately. It is judged by the clock when asked, not by a timer: a process that was
 * stopped for a while is not fresh when it wakes, whichever of its callbacks runs first.
 */
export interface Freshness {
  isFresh(): boolean;
  /** Tells that everything up to an instant (`performance.now()`) has been seen. */
  confirm(asOf: number): void;
  close(): void;
}

export function createFreshness(staleAfterMs: number, onChange: (fresh: boolean) => void): Freshness {
  let confirmed = Number.NEGATIVE_INFINITY;
  let told = false;
  let timer: NodeJS.Timeout | undefined;
  const isFresh = (): boolean => performance.now() - confirmed <= staleAfterMs;

  function tell(): void {
    const fresh = isFresh();
    if (fresh !== told) {
      told = fresh;
      onChange(fresh);
    }
  }

  function watch(): void {
    timer = undefined;
    tell();
    if (told) timer = setTimeout(watch, Math.max(1, confirmed + staleAfterMs - performance.now() + 1)).unref();
  }

  return {
    isFresh,
    confirm(asOf) {
      if (asOf > confirmed) confirmed = asOf;
      // The running timer finds the newer instant by itself.
      if (timer === undefined) watch();
      else tell();
    },
    close() {
      clearTimeout(timer);
      timer = undefined;
      confirmed = Number.NEGATIVE_INFINITY;
      tell();
    },
  };
}
