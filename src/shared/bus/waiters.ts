import { ServiceError } from "../service-error.ts";
import { comparePositions, type Position, parsePosition } from "./position.ts";

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (error: ServiceError) => void;
  readonly timer: NodeJS.Timeout;
}

/** How many may wait on one follower at once. */
const maxWaiters = 10_000;

/** The longest that a timer can be set for. */
const maxTimerMs = 2_147_483_647;

/** Those who wait for a follower to reach a position. */
export interface Waiters {
  wait(position: Position, current: Position | undefined, deadline: number): Promise<void>;
  /** Lets go those whose position has been reached. */
  reached(current: Position): void;
  /** Refuses all. */
  close(): void;
}

export function createWaiters(): Waiters {
  const waiters = new Set<Waiter>();

  function remove(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    waiters.delete(waiter);
  }

  return {
    async wait(text, current, deadline) {
      const position = parsePosition(text);
      if (current !== undefined && comparePositions(position, current) <= 0) return;
      if (waiters.size >= maxWaiters) {
        throw new ServiceError("RESOURCE_EXHAUSTED", "Too many callers wait for a position.", {
          reason: "BUS_TOO_MANY_WAITERS",
          retryAfterMs: 1_000,
        });
      }
      await new Promise<void>((resolve, reject) => {
        const expire = (): void => {
          waiters.delete(waiter);
          reject(
            new ServiceError("DEADLINE_EXCEEDED", "The position was not reached in time.", {
              reason: "BUS_WAIT_EXPIRED",
            }),
          );
        };
        const delay = Math.min(Math.max(deadline - Date.now(), 0), maxTimerMs);
        const waiter: Waiter = { position, resolve, reject, timer: setTimeout(expire, delay) };
        waiters.add(waiter);
      });
    },
    reached(current) {
      for (const waiter of waiters) {
        if (comparePositions(waiter.position, current) > 0) continue;
        remove(waiter);
        waiter.resolve();
      }
    },
    close() {
      for (const waiter of waiters) {
        remove(waiter);
        waiter.reject(new ServiceError("UNAVAILABLE", "The follower is closing.", { reason: "BUS_CLOSED" }));
      }
    },
  };
}
