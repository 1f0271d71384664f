import { setTimeout as sleep } from "node:timers/promises";
import type { BenchOptions } from "./main.ts";
import { runH2Load } from "./support/h2load.ts";
import { runLoad } from "./support/load/run-load.ts";
import { type BenchServices, startServices } from "./support/services.ts";

const serverCore = 1;
const loadCore = 0;
const loads = [0.5, 1, 1.5, 2, 3, 4];
const deadlineMs = 250;
const clients = 8;

interface Step {
  readonly clients: "limiting" | "heedless";
  /** Calls due, as a multiple of the capacity. */
  readonly load: number;
  readonly offered: number;
  /** Answered in time, a second. */
  readonly goodput: number;
  /** The same for each second of the server's CPU, which does not depend on what else the machine does. */
  readonly perCpuSecond: number;
  readonly refused: number;
  readonly heldBack: number;
  readonly expired: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * Goodput of Evaluate from half to four times its capacity: answers within 250 ms of when the call was due, in open loop. With
 * clients that find out how many calls the server bears, as those of this project do, and with clients that send all of it.
 */
export async function runOverloadBench({ seconds, progress }: BenchOptions): Promise<object> {
  progress("starting the servers");
  const services = await startServices(serverCore);
  try {
    const capacity = await measureCapacity(services, seconds, progress);
    const table: Step[] = [];
    for (const kind of ["limiting", "heedless"] as const) {
      for (const load of loads) {
        progress(`${kind} clients at ${load} times the capacity`);
        table.push(await measureStep(services, kind, load, capacity, seconds));
      }
    }
    // Load is over, and so must overload be.
    await sleep(1_000);
    await services.check();
    return {
      capacity,
      table,
      goodputAtFourfold: { limiting: shareOfPeak(table, "limiting"), heedless: shareOfPeak(table, "heedless") },
    };
  } finally {
    await services.stop();
  }
}

/** Goodput at the highest load as a share of the best, in wall and in CPU time. */
function shareOfPeak(table: readonly Step[], kind: Step["clients"]): object {
  const steps = table.filter((step) => step.clients === kind);
  const share = (of: "goodput" | "perCpuSecond"): number =>
    Number(((steps.at(-1)?.[of] ?? 0) / Math.max(...steps.map((step) => step[of]))).toFixed(3));
  return { wall: share("goodput"), cpu: share("perCpuSecond") };
}

/** Answers a second with 100 calls in flight. */
async function measureCapacity(
  { targets }: BenchServices,
  seconds: number,
  progress: (message: string) => void,
): Promise<number> {
  progress("measuring the capacity");
  const { port, path, message } = targets.evaluate;
  const load = { address: `127.0.0.1:${port}`, path, message, seconds, inFlight: 100, core: loadCore };
  return Math.round((await runH2Load(load)).requestsPerSecond);
}

async function measureStep(
  services: BenchServices,
  kind: Step["clients"],
  load: number,
  capacity: number,
  seconds: number,
): Promise<Step> {
  const warmUpSeconds = 1;
  const before = await services.policyCpuSeconds();
  const result = await runLoad(loadCore, {
    ...services.targets.evaluate,
    rate: Math.round(capacity * load),
    seconds,
    warmUpSeconds,
    clients,
    deadlineMs,
    adaptive: kind === "limiting",
  });
  const cpu = (await services.policyCpuSeconds()) - before;
  const perSecond = (calls: number): number => Math.round(calls / seconds);
  return {
    clients: kind,
    load,
    offered: perSecond(result.offered),
    goodput: perSecond(result.answered),
    perCpuSecond: Math.round((result.answered / cpu) * ((warmUpSeconds + seconds) / seconds)),
    refused: perSecond(result.refused),
    heldBack: perSecond(result.heldBack),
    expired: perSecond(result.expired),
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}
