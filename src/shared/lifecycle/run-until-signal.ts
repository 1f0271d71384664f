import type { Logger } from "pino";

export interface RunOptions {
  readonly logger: Logger;
  /** Longest time that stopping may take, in milliseconds, before the process ends regardless. */
  readonly stopTimeoutMs: number;
  /** Starts the service and answers how to stop it. `signal` aborts when the process is asked to end. */
  readonly start: (signal: AbortSignal) => Promise<() => Promise<void>>;
}

/**
 * Runs a service until SIGTERM or SIGINT, then stops it and lets the process end by itself with exit code 0.
 *
 * A failed start or stop is logged and sets exit code 1. When stopping hangs, or at a second signal, the process is ended.
 */
export async function runUntilSignal(options: RunOptions): Promise<void> {
  const { logger } = options;
  const ending = new AbortController();
  const asked = new Promise<void>((resolve) => {
    const onSignal = (name: NodeJS.Signals): void => {
      if (ending.signal.aborted) {
        logger.warn({ signal: name }, "second signal, ending at once");
        process.exit(1);
      }
      logger.info({ signal: name }, "stopping");
      ending.abort();
      resolve();
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
    ending.signal.addEventListener("abort", () => {
      setTimeout(() => {
        logger.error({ timeoutMs: options.stopTimeoutMs }, "stopping took too long, ending");
        process.exit(1);
      }, options.stopTimeoutMs).unref();
    });
  });

  try {
    const stop = await options.start(ending.signal);
    await asked;
    await stop();
    logger.info("stopped");
  } catch (error) {
    logger.fatal({ err: error }, error instanceof Error ? error.message : "failed");
    process.exitCode = 1;
    if (!ending.signal.aborted) ending.abort();
  }
}
