import { setTimeout as sleep } from "node:timers/promises";
import type { BenchOptions } from "./main.ts";
import { runH2Load } from "./support/h2load.ts";
import { runLoad } from "./support/load/run-load.ts";
import { type BenchServices, startServices } from "./support/services.ts";

const serverCore = 1;
const loadCore = 0;
const loads = [0.5, 1, 2, 3, 4];
const warmUpSeconds = 0.5;
const deadlineMs = 250;
const clients = 8;

/** A call, and clients that find out how many calls in flight the server bears, as those of this project do, or that send all of it. */
interface Series {
  readonly call: "evaluate" | "evaluateBatch";
  readonly clients: "limiting" | "heedless";
}

const series: readonly Series[] = [
  { call: "evaluate", clients: "limiting" },
  { call: "evaluate", clients: "heedless" },
  { call: "evaluateBatch", clients: "heedless" },
];

interface Step extends Series {
  /** Calls due, as a multiple of the capacity. */
  readonly load: number;
  readonly offered: number;
  /** Answered in time, a second. */
  readonly goodput: number;
  /** The same for each second of the server's CPU, which depends less on what else the machine does. */
  readonly perCpuSecond: number;
  readonly refused: number;
  readonly heldBack: number;
  readonly expired: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * Goodput from half to four times the capacity, in open loop: answers within 250 ms of when the call was due. Of a call that
 * costs little more than its refusal, and of one that costs a millisecond.
 */
export async function runOverloadBench({ seconds, progress }: BenchOptions): Promise<object> {
  progress("starting the servers");
  const services = await startServices(serverCore);
  try {
    progress("measuring the capacity");
    const capacity = {
      evaluate: await measureCapacity(services, "evaluate", seconds),
      evaluateBatch: await measureCapacity(services, "evaluateBatch", seconds),
    };
    const table: Step[] = [];
    for (const each of series) {
      for (const load of loads) {
        progress(`${each.call}, ${each.clients} clients, ${load} times the capacity`);
        table.push(await measureStep(services, each, load, capacity[each.call], seconds));
      }
    }
    // Load is over, and so must overload be.
    await sleep(1_000);
    await services.check();
    return { capacity, table, goodputAtFourfold: series.map((each) => ({ ...each, ...shareOfPeak(table, each) })) };
  } finally {
    await services.stop();
  }
}

/** Goodput at the highest load as a share of the best, by the clock and by CPU time. */
function shareOfPeak(table: readonly Step[], { call, clients }: Series): object {
  const steps = table.filter((step) => step.call === call && step.clients === clients);
  const share = (of: "goodput" | "perCpuSecond"): number =>
    Number(((steps.at(-1)?.[of] ?? 0) / Math.max(...steps.map((step) => step[of]))).toFixed(3));
  return { ofPeak: share("goodput"), ofPeakByCpu: share("perCpuSecond") };
}

/** Answers a second in closed loop, with fewer calls in flight than are ever refused. */
async function measureCapacity({ targets }: BenchServices, call: Series["call"], seconds: number): Promise<number> {
  const { port, path, message } = targets[call];
  const inFlight = call === "evaluate" ? 100 : 8;
  const load = { address: `127.0.0.1:${port}`, path, message, seconds, inFlight, core: loadCore };
  return Math.round((await runH2Load(load)).requestsPerSecond);
}

async function measureStep(
  services: BenchServices,
  each: Series,
  load: number,
  capacity: number,
  seconds: number,
): Promise<Step> {
  const before = await services.policyCpuSeconds();
  const result = await runLoad(loadCore, {
    ...services.targets[each.call],
    rate: Math.round(capacity * load),
    seconds,
    warmUpSeconds,
    clients,
    deadlineMs,
    adaptive: each.clients === "limiting",
  });
  const cpuSeconds = ((await services.policyCpuSeconds()) - before) * (seconds / (warmUpSeconds + seconds));
  const perSecond = (calls: number): number => Math.round(calls / seconds);
  return {
    ...each,
    load,
    offered: perSecond(result.offered),
    goodput: perSecond(result.answered),
    perCpuSecond: Math.round(result.answered / cpuSeconds),
    refused: perSecond(result.refused),
    heldBack: perSecond(result.heldBack),
    expired: perSecond(result.expired),
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}
