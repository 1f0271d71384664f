import { join } from "node:path";
import { runCommand } from "../test/mesh/command.ts";
import { startMesh } from "../test/mesh/mesh.ts";
import { signIn } from "../test/mesh/sign-in.ts";
import { ensureTool } from "../test/mesh/tools.ts";
import type { BenchOptions } from "./main.ts";
import type { OpenLoop, OpenLoopResult } from "./support/open-loop.ts";
import { heapFlags } from "./support/pinned.ts";
import { median, quantile } from "./support/statistics.ts";

const requestsPerSecond = 1_000;
const rounds = 3;
/** A round in which the route without a check takes longer at P95 tells of the machine's other work, and not of the check. */
const calmMs = 2;
const quantiles = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
type Latencies = Record<keyof typeof quantiles, number>;

interface Round {
  readonly without: Latencies;
  readonly with: Latencies;
  readonly added: Latencies;
  readonly failed: number;
  readonly worstLatenessMs: number;
}

/**
 * Milliseconds that a check adds to a request through Envoy: the same route with and without it, in interleaved rounds. A
 * check is a call to auth-service, a session and a user from Redis, and a decision of policy-service.
 */
export async function runMeshBench({ seconds, progress }: BenchOptions): Promise<object> {
  await ensureTool("envoy");
  progress("starting Redis, the services, a workload and Envoy");
  const mesh = await startMesh({ count: 1, direct: true, nodeFlags: heapFlags, env: { LOG_LEVEL: "warn" } });
  try {
    const headers = { authorization: `Bearer ${await signIn(mesh.replicas.auth[0], "alice")}` };
    const measure = async (port: number, duration: number): Promise<OpenLoopResult> =>
      await generate({ port, path: "/docs/handbook", headers, requestsPerSecond, seconds: duration });
    const { inbound, unchecked } = mesh.ports;
    progress("warming up");
    for (const port of [unchecked, inbound]) await measure(port, Math.min(seconds, 3));
    const calm: Round[] = [];
    const disturbed: Round[] = [];
    while (calm.length < rounds && calm.length + disturbed.length < 3 * rounds) {
      progress(`round ${calm.length + disturbed.length + 1}, ${calm.length} of ${rounds} calm ones measured`);
      const without = await measure(unchecked, seconds);
      const checked = await measure(inbound, seconds);
      const [before, after] = [latencies(without), latencies(checked)];
      const round = {
        without: before,
        with: after,
        added: each((key) => after[key] - before[key]),
        failed: without.failed + checked.failed,
        worstLatenessMs: round3(Math.max(without.worstLatenessMs, checked.worstLatenessMs)),
      };
      (before.p95 < calmMs ? calm : disturbed).push(round);
    }
    const told = calm.length > 0 ? calm : disturbed;
    const failed = told.reduce((sum, round) => sum + round.failed, 0);
    if (failed > 0) progress(`${failed} requests failed\n${mesh.output.slice(-20).join("\n")}`);
    return {
      requestsPerSecond,
      seconds,
      milliseconds: {
        without: each((key) => median(told.map((round) => round.without[key]))),
        with: each((key) => median(told.map((round) => round.with[key]))),
        added: each((key) => median(told.map((round) => round.added[key]))),
      },
      failed,
      calmRounds: calm.length,
      rounds: told,
      disturbed,
    };
  } finally {
    await mesh.close();
  }
}

async function generate(load: OpenLoop): Promise<OpenLoopResult> {
  const program = join(import.meta.dirname, "support", "open-loop.ts");
  const { code, stdout, stderr } = await runCommand(process.execPath, [program], { input: JSON.stringify(load) });
  if (code !== 0) throw new Error(`the load generator ended with ${code}\n${stderr}`);
  return JSON.parse(stdout);
}

function latencies({ latenciesMs }: OpenLoopResult): Latencies {
  return each((key) => quantile(latenciesMs, quantiles[key]));
}

function each(value: (key: keyof Latencies) => number): Latencies {
  return { p50: round3(value("p50")), p95: round3(value("p95")), p99: round3(value("p99")) };
}

function round3(value: number): number {
  return Number(value.toFixed(3));
}
