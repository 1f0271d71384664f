import type { Logger } from "pino";
import { ConfigError, type ConfigFields, readConfig } from "../config/config.ts";
import type { HostSettings } from "../config/host-settings.ts";
import { createLogger } from "../logger/logger.ts";
import { runUntilSignal } from "./run-until-signal.ts";

/** A service, put together. */
export interface ServiceApp {
  /** Listens. Throws ListenError when a port cannot be had. */
  start(): Promise<{ readonly grpcPort: number; readonly httpPort: number }>;
  /** Ends readiness, finishes what is in flight, closes every connection. */
  stop(): Promise<void>;
}

/** How long a service may take to close its connections once its calls have ended, in milliseconds. */
const closingMs = 5_000;

/** Runs a service as a process: reads its configuration, puts it together, serves until a signal, drains. */
export async function runService<C extends HostSettings>(
  service: string,
  fields: ConfigFields<C>,
  createApp: (config: C, logger: Logger) => ServiceApp,
): Promise<void> {
  let config: C;
  try {
    config = readConfig(fields, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
    return;
  }
  const logger = createLogger({ service, level: config.logLevel, format: config.logFormat });
  await runUntilSignal({
    logger,
    stopTimeoutMs: config.drainDelayMs + config.drainGraceMs + closingMs,
    start: async () => {
      const app = createApp(config, logger);
      logger.info(await app.start(), `${service} listens`);
      return app.stop;
    },
  });
}
