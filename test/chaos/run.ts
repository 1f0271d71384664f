/**
 * The chaos suite: real processes under a seeded workload and seeded faults, and a checker that holds what was seen against
 * what is promised. See docs/chaos.md.
 *
 * `npm run test:chaos -- [--seed N] [--seconds N] [--faults PATTERN]`
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { until } from "../support/until.ts";
import { createCalls } from "./calls.ts";
import { type Bounds, checkHistory } from "./checker.ts";
import { connectClients } from "./clients.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { allFaults, type Fault, planFaults } from "./faults.ts";
import type { FaultRecord } from "./history.ts";
import { createProbe, type Probe } from "./probe.ts";
import { createRandom, type Random } from "./random.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { toJson, toTable } from "./report.ts";
import { runWorkload, verify } from "./workload.ts";

const bounds: Bounds = { propagationMs: 7_000, settleMs: 15_000, slackMs: 1_500, recoveryMs: 20_000 };
const results = join(import.meta.dirname, "results");

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    seconds: { type: "string", default: "110" },
    faults: { type: "string", default: "" },
    actors: { type: "string", default: "4" },
  },
});
const seed = Number(values.seed);
const seconds = Number(values.seconds);
const log = (line: string): void => void process.stdout.write(`${line}\n`);

/** How often the next fault comes together with this one, if it is elsewhere. */
const companyChance = 0.4;

/** Injects faults, alone or two at once, until the time is over, and waits after each until all is well. */
async function injectFaults(plan: readonly Fault[], random: Random, probe: Probe, recorder: Recorder): Promise<void> {
  const end = recorder.now() + seconds * 1_000;
  for (let next = 0; recorder.now() < end; ) {
    const fault = plan[next % plan.length];
    if (fault === undefined) throw new Error("no fault matches");
    const company = plan.slice(next + 1, next + 2).filter(({ target }) => target !== fault.target);
    const faults = random.chance(companyChance) ? [fault, ...company] : [fault];
    next += faults.length;
    await sleep(random.between(100, 800));
    const done = await Promise.all(faults.map((one) => injectFault(one, random.fork(), recorder)));
    const recovered = await probe.untilWell(bounds.recoveryMs);
    // Of two, nothing can be expected before both are mended.
    const healed = Math.max(...done.map((one) => one.healed));
    for (const one of done) recorder.addFault({ ...one, healed, ...(recovered === undefined ? {} : { recovered }) });
    log(
      `${done.map(({ fault: name, target }) => `${name} ${target}`).join(" and ")}: ` +
        (recovered === undefined ? "not well again" : `well after ${Math.round(recovered - healed)} ms`),
    );
  }
}

/** Injects one fault, keeps it up for a while, and mends it. */
async function injectFault(fault: Fault, random: Random, recorder: Recorder): Promise<FaultRecord> {
  const from = recorder.now();
  const heal = await fault.inject(random);
  const [shortest, longest] = fault.holdMs ?? [1_000, 4_000];
  await sleep(random.between(shortest, longest));
  const healed = recorder.now();
  await heal();
  const to = recorder.now();
  for (const replica of fault.cutsOff) recorder.addCutOff({ replica, from, to });
  for (const replica of fault.away) recorder.addAway({ replica, from, to });
  return { fault: fault.name, target: fault.target, from, healed };
}

async function run(cluster: Cluster, recorder: Recorder) {
  const random = createRandom(seed);
  const clients = connectClients(cluster);
  try {
    const calls = createCalls(recorder, await cluster.adminCredential());
    const [policy] = clients.policy;
    if (policy === undefined) throw new Error("there is no policy-service");
    await calls.publish(policy, "closed", "the first", true);
    for (const replica of [...cluster.policy, ...cluster.auth]) {
      await until(`${replica.name} is ready`, () => replica.isReady());
    }
    const probe = await createProbe(clients, calls, recorder);
    const malformed = { sent: 0 };
    const faults = allFaults(cluster, malformed).filter(({ name, target }) => `${name} ${target}`.match(values.faults));
    const stopping = new AbortController();
    const workload = runWorkload({
      clients,
      calls,
      random: random.fork(),
      actors: Number(values.actors),
      pauseMs: 80,
      signal: stopping.signal,
    });
    try {
      await injectFaults(planFaults(faults, random.fork()), random.fork(), probe, recorder);
    } finally {
      stopping.abort();
    }
    const inventory = await workload;
    log("all faults are over; looking at everything once more");
    await sleep(bounds.propagationMs);
    await verify({ clients, calls }, inventory);
    return malformed.sent;
  } finally {
    clients.close();
  }
}

// The processes are killed when this one exits, which a signal alone does not bring about.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const recorder = createRecorder();
const cluster = await startCluster((replica) => recorder.addCrash(replica));
try {
  log(`seed ${seed}`);
  const malformed = await run(cluster, recorder);
  const history = recorder.history();
  const violations = checkHistory(history, bounds);
  const summary = { seed, seconds: Math.round(recorder.now() / 1_000), bounds, malformed, history, violations };
  log(`\n${toTable(summary)}`);
  mkdirSync(results, { recursive: true });
  const file = join(results, `${seed}.json`);
  writeFileSync(file, JSON.stringify(toJson(summary), undefined, 2));
  if (violations.length > 0) {
    writeFileSync(join(results, `${seed}.log`), cluster.output.join("\n"));
    process.exitCode = 1;
  }
  log(`written to ${file}`);
} finally {
  await cluster.close();
}
