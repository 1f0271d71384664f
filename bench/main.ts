/**
 * `npm run bench -- <name> [--json]`: measures, and prints a table or JSON. Without a name, lists what there is.
 *
 * The machine decides the figures, so read the ratios: what is compared is measured side by side in one run.
 */
import { parseArgs } from "node:util";
import { describeMachine } from "./support/machine.ts";

/** Options common to all benches. */
export interface BenchOptions {
  /** Seconds of each measurement. */
  readonly seconds: number;
  /** Tells what is going on, on stderr. */
  progress(message: string): void;
}

interface Bench {
  readonly summary: string;
  load(): Promise<(options: BenchOptions) => Promise<object>>;
}

const benches: Readonly<Record<string, Bench>> = {
  unary: {
    summary: "requests/s of Evaluate and Authenticate beside a bare grpc-js echo",
    load: async () => (await import("./unary.ts")).runUnaryBench,
  },
  stream: {
    summary: "decisions/s through EvaluateStream, rows and columns by batch size, beside unary calls",
    load: async () => (await import("./stream.ts")).runStreamBench,
  },
  latency: {
    summary: "latency at 2,000 calls/s in open loop of Evaluate, Authenticate and Authorize, beside a bare echo",
    load: async () => (await import("./latency.ts")).runLatencyBench,
  },
  overload: {
    summary: "goodput and latency of Evaluate from half to four times its capacity",
    load: async () => (await import("./overload.ts")).runOverloadBench,
  },
  soak: {
    summary: "ten minutes of mixed load (--seconds 600): memory over time, and every answer counted",
    load: async () => (await import("./soak.ts")).runSoakBench,
  },
  revocation: {
    summary: "ms from Revoke to refused by all of three replicas, over 1,000 revocations under 1,000 token checks/s",
    load: async () => (await import("./revocation.ts")).runRevocationBench,
  },
  "login-storm": {
    summary: "latency of token checks alone and in a storm of password logins",
    load: async () => (await import("./login-storm.ts")).runLoginStormBench,
  },
  tracing: {
    summary: "CPU of Evaluate without tracing, at its default share, and with every call traced",
    load: async () => (await import("./tracing.ts")).runTracingBench,
  },
  store: {
    summary: "bytes of a session in Redis, and Redis' CPU for sessions and for waking followers of the bus",
    load: async () => (await import("./store.ts")).runStoreBench,
  },
  mesh: {
    summary: "ms that Envoy's Check adds to a request at 1,000 requests/s",
    load: async () => (await import("./mesh.ts")).runMeshBench,
  },
  engine: {
    summary: "µs a decision by policies and entities, beside cedar-wasm",
    load: async () => {
      const { runEngineBench } = await import("./engine.ts");
      return async () => await runEngineBench();
    },
  },
};

function usage(): string {
  const lines = Object.entries(benches).map(([name, bench]) => `  ${name.padEnd(14)} ${bench.summary}`);
  return `Usage: npm run bench -- <name> [--json] [--seconds N]\n\n${lines.join("\n")}\n`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, seconds: { type: "string", default: "4" } },
});
const bench = benches[positionals[0] ?? ""];
if (bench === undefined) {
  process.stderr.write(usage());
  process.exitCode = 2;
} else {
  const run = await bench.load();
  const result = await run({
    seconds: Number(values.seconds),
    progress: (message) => process.stderr.write(`${message}\n`),
  });
  const report = { bench: positionals[0], machine: describeMachine(), ...result };
  if (values.json) {
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    const { table, ...rest } = report as typeof report & { table?: unknown };
    if (table !== undefined) console.table(table);
    console.dir(rest, { depth: 6 });
  }
}
