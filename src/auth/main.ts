import { ConfigError, readConfig } from "../shared/config/config.ts";
import { runUntilSignal } from "../shared/lifecycle/run-until-signal.ts";
import { createLogger } from "../shared/logger/logger.ts";
import { createAuthApp } from "./app.ts";
import { type AuthConfig, authConfigFields } from "./config.ts";

function configure(): AuthConfig | undefined {
  try {
    return readConfig(authConfigFields, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
    return undefined;
  }
}

const config = configure();
if (config !== undefined) {
  const logger = createLogger({ service: "auth-service", level: config.logLevel, format: config.logFormat });
  await runUntilSignal({
    logger,
    stopTimeoutMs: config.drainDelayMs + config.drainGraceMs + 5_000,
    start: async () => {
      const app = createAuthApp(config, logger);
      logger.info(await app.start(), "auth-service listens");
      return app.stop;
    },
  });
}
