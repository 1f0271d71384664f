import type { BenchOptions } from "./main.ts";
import type { Latency } from "./support/load/job.ts";
import { runLoad } from "./support/load/run-load.ts";
import { patient, startServices } from "./support/services.ts";
import { median } from "./support/statistics.ts";

const serverCore = 1;
const loadCore = 0;
const rate = 2_000;
const rounds = 3;
const names = ["echo", "evaluate", "authenticateToken", "authorize"] as const;
const quantiles = ["p50", "p95", "p99", "p999", "max"] as const;

/**
 * Latency at 2,000 calls a second in open loop, counted from when each call was due, so that a stall counts for all the calls
 * that would have come meanwhile. The median of three interleaved rounds, with a bare echo beside it: what is measured
 * includes the generator and whatever else the machine is doing, and the echo shows how much.
 */
export async function runLatencyBench({ seconds, progress }: BenchOptions): Promise<object> {
  progress("starting the servers");
  const services = await startServices(serverCore, patient);
  try {
    const latencies: Record<(typeof names)[number], Latency[]> = {
      echo: [],
      evaluate: [],
      authenticateToken: [],
      authorize: [],
    };
    for (let round = 1; round <= rounds; round += 1) {
      for (const name of names) {
        progress(`round ${round} of ${rounds}: ${name}`);
        const result = await runLoad(loadCore, {
          ...services.targets[name],
          rate,
          seconds,
          // Long enough for the first round's to be compiled.
          warmUpSeconds: round === 1 ? 2 : 0.5,
          clients: 4,
          deadlineMs: 10_000,
          adaptive: false,
        });
        if (result.answered < result.offered) {
          throw new Error(
            `${name}: ${result.refused} of ${result.offered} calls were refused, ${result.expired} too late`,
          );
        }
        latencies[name].push(result.latency);
      }
    }
    await services.check();
    const middle = (list: readonly Latency[]): Latency =>
      Object.fromEntries(quantiles.map((quantile) => [quantile, median(list.map((each) => each[quantile]))])) as never;
    return {
      callsPerSecond: rate,
      table: names.map((name) => ({ call: name, ...middle(latencies[name]) })),
      unit: "ms",
      rounds: latencies,
    };
  } finally {
    await services.stop();
  }
}
