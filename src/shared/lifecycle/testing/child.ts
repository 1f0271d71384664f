/** A process that runs until a signal, for tests: its first argument says how it stops. */
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "../../logger/logger.ts";
import { runUntilSignal } from "../run-until-signal.ts";

const [how] = process.argv.slice(2);

await runUntilSignal({
  logger: createLogger({ service: "child" }),
  stopTimeoutMs: 500,
  async start(signal) {
    if (how === "fail") throw new Error("no start");
    signal.addEventListener("abort", () => process.stdout.write("aborted\n"));
    const busy = setInterval(() => {}, 1_000);
    process.stdout.write("started\n");
    return async () => {
      if (how === "hang") await sleep(60_000);
      await sleep(100);
      clearInterval(busy);
      process.stdout.write("drained\n");
    };
  },
});
