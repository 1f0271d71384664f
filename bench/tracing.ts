/**
 * What tracing costs: CPU of policy-service for an Evaluate without it, at the default share, and with every call traced. CPU
 * and not throughput, which says more of the machine's other work than of so small a difference.
 */
import { startCollector } from "../test/support/collector.ts";
import type { BenchOptions } from "./main.ts";
import { runH2Load } from "./support/h2load.ts";
import { patient, startServices } from "./support/services.ts";
import { median } from "./support/statistics.ts";

const serverCore = 1;
const loadCore = 0;
const rounds = 5;

export async function runTracingBench({ seconds, progress }: BenchOptions): Promise<object> {
  const collector = await startCollector();
  const on = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const settings: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    off: {},
    onePercent: on,
    all: { ...on, TRACE_SAMPLE: "1", TRACE_MAX_PER_SECOND: "1000000" },
  };
  const started: [string, Awaited<ReturnType<typeof startServices>>][] = [];
  try {
    for (const [name, env] of Object.entries(settings)) {
      progress(`starting the servers: ${name}`);
      started.push([name, await startServices(serverCore, { ...patient, ...env })]);
    }
    const costs = new Map<string, number[]>(started.map(([name]) => [name, []]));
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, { targets, policyCpuSeconds }] of started) {
        progress(`round ${round} of ${rounds}: ${name}`);
        const { port, path, message } = targets.evaluate;
        const load = { address: `127.0.0.1:${port}`, path, message, seconds, inFlight: 200, core: loadCore };
        const before = await policyCpuSeconds();
        const { failed, requestsPerSecond } = await runH2Load(load);
        if (failed > 0) throw new Error(`${name}: ${failed} requests failed`);
        costs.get(name)?.push(((await policyCpuSeconds()) - before) * (1e6 / (requestsPerSecond * seconds)));
      }
    }
    const off = costs.get("off") ?? [];
    const ratio = (list: readonly number[]): number =>
      Number(median(list.map((cost, round) => cost / (off[round] ?? Number.NaN))).toFixed(2));
    return {
      cpuMicrosPerCall: Object.fromEntries([...costs].map(([name, list]) => [name, Math.round(median(list))])),
      ratioToOff: Object.fromEntries([...costs].map(([name, list]) => [name, ratio(list)])),
      spans: collector.spans.length,
      inFlight: 200,
    };
  } finally {
    for (const [, services] of started) await services.stop();
    await collector.close();
  }
}
