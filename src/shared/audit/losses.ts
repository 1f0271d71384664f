import type { Logger } from "pino";

const everyMs = 10_000;

/** Tells of losses: of the first at once, then of how many there were, every ten seconds at most. */
export function createLossTeller(logger: Logger, message: string): (count: number, error?: unknown) => void {
  let untold = 0;
  let timer: NodeJS.Timeout | undefined;
  let last: unknown;

  function tell(): void {
    timer = undefined;
    if (untold === 0) return;
    logger.error({ count: untold, ...(last === undefined ? {} : { err: last }) }, message);
    untold = 0;
    timer = setTimeout(tell, everyMs).unref();
  }

  return (count, error) => {
    untold += count;
    last = error;
    if (timer === undefined) tell();
  };
}
