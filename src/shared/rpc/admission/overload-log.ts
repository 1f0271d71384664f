import type { Logger } from "pino";
import type { Admission } from "./admission.ts";

const lookMs = 1_000;

/** Logs that a host has begun to refuse calls, and that it no longer does: a line each, however many calls. Answers what ends it. */
export function logOverload(logger: Logger, { shed }: Admission): () => void {
  let before = 0;
  let begunAt = 0;
  let overloaded = false;
  const timer = setInterval(() => {
    const total = shed.queue_full + shed.queue_delay;
    if (total > before && !overloaded) {
      overloaded = true;
      begunAt = before;
      logger.warn({ refused: total - begunAt }, "overloaded: calls are being refused");
    } else if (total === before && overloaded) {
      overloaded = false;
      logger.info({ refused: total - begunAt }, "no longer overloaded");
    }
    before = total;
  }, lookMs).unref();
  return () => clearInterval(timer);
}
