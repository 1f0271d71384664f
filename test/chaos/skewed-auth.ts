/** auth-service with a clock that is off by CHAOS_CLOCK_SKEW milliseconds, and steps by CHAOS_CLOCK_STEP to and fro at SIGUSR2. */
import { createAuthApp } from "../../src/auth/app.ts";
import { authFields } from "../../src/auth/config.ts";
import { runService } from "../../src/shared/lifecycle/run-service.ts";

const skewMs = Number(process.env.CHAOS_CLOCK_SKEW ?? 0);
const stepMs = Number(process.env.CHAOS_CLOCK_STEP ?? 0);
let stepped = false;
process.on("SIGUSR2", () => {
  stepped = !stepped;
});
const clock = (): number => Date.now() + skewMs + (stepped ? stepMs : 0);

await runService("auth-service", authFields, (config, logger) => createAuthApp(config, logger, { clock }));
