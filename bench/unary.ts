import type { BenchOptions } from "./main.ts";
import { runH2Load } from "./support/h2load.ts";
import { patient, startServices } from "./support/services.ts";
import { median } from "./support/statistics.ts";

const serverCore = 1;
const loadCore = 0;
const rounds = 3;
const names = ["echo", "evaluate", "authenticateToken"] as const;

/** Requests/s of both services and of a bare echo, one server at a time on one core, in interleaved rounds. */
export async function runUnaryBench({ seconds, progress }: BenchOptions): Promise<object> {
  progress("starting the servers");
  const services = await startServices(serverCore, patient);
  try {
    const rates: Record<(typeof names)[number], number[]> = { echo: [], evaluate: [], authenticateToken: [] };
    for (let round = 1; round <= rounds; round += 1) {
      for (const name of names) {
        progress(`round ${round} of ${rounds}: ${name}`);
        const { port, path, message } = services.targets[name];
        const load = { address: `127.0.0.1:${port}`, path, message, seconds, inFlight: 200, core: loadCore };
        const result = await runH2Load(load);
        if (result.failed > 0) throw new Error(`${name}: ${result.failed} requests failed`);
        rates[name].push(result.requestsPerSecond);
      }
    }
    await services.check();
    const ratio = (name: keyof typeof rates): number =>
      Number(median(rates[name].map((rate, round) => rate / (rates.echo[round] ?? Number.NaN))).toFixed(3));
    return {
      requestsPerSecond: Object.fromEntries(
        Object.entries(rates).map(([name, list]) => [name, Math.round(median(list))]),
      ),
      rounds: rates,
      ratioToEcho: { evaluate: ratio("evaluate"), authenticateToken: ratio("authenticateToken") },
      inFlight: 200,
    };
  } finally {
    await services.stop();
  }
}
