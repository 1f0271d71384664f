import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createCompileSource } from "../compile-source.ts";
import { createCedarControl } from "../control/cedar-control.ts";
import { ActivePolicies } from "./active-policies.ts";
import { buildSnapshot } from "./build-snapshot.ts";
import { evaluate, type Query } from "./evaluate.ts";
import { type Comparison, mergeReports, Shadow } from "./shadow.ts";
import type { Snapshot } from "./snapshot.ts";

const control = createCedarControl();
let nobody: Snapshot;
let everybody: Snapshot;
before(async () => {
  const compile = createCompileSource(control);
  const build = async (revision: string, text: string): Promise<Snapshot> => {
    const source = { files: [{ name: "a.cedar", text }], schema: "", links: "", skipFailingForbids: false };
    return buildSnapshot(await compile(source), revision, { strictForbid: true });
  };
  nobody = await build("1-a", '@id("never") permit (principal, action, resource) when { false };');
  everybody = await build("2-b", '@id("all") permit (principal, action, resource);');
});
after(() => control.close());

const query = (id: string): Query => ({
  principal: { type: "User", id },
  action: { type: "Action", id: "view" },
  resource: { type: "Document", id: "d" },
  context: {},
});
const comparison = (name: string, sampleRate = 1): Comparison => ({
  name,
  active: nobody.revision,
  shadow: everybody.revision,
  sampleRate,
  startTime: 0,
});

function begin(cpuShare: number, sampleRate = 1): Shadow {
  const policies = new ActivePolicies();
  policies.activate(nobody);
  policies.setShadow(everybody);
  const shadow = new Shadow(policies, cpuShare);
  shadow.compare(comparison("first", sampleRate));
  return shadow;
}

/** Offers requests as a handler does; answers how many were wanted. */
function offer(shadow: Shadow, count: number, id = "ann"): number {
  let wanted = 0;
  for (let n = 0; n < count; n += 1) {
    if (!shadow.wants()) continue;
    wanted += 1;
    shadow.take(query(id), evaluate(nobody, query(id)));
  }
  return wanted;
}

async function drained(shadow: Shadow, evaluated: number): Promise<void> {
  for (let tries = 0; shadow.report().evaluated < evaluated; tries += 1) {
    assert.ok(tries < 1_000, "all is compared");
    await sleep(5);
  }
}

test("what waits is bounded: beyond it requests are skipped, and counted", async () => {
  const shadow = begin(1);
  assert.equal(offer(shadow, 1_000), 256);
  assert.equal(shadow.report().skipped, 744);
  assert.equal(shadow.report().evaluated, 0, "nothing is evaluated while the answer waits");
  await drained(shadow, 256);
});

test("only the sample is wanted", () => {
  const shadow = begin(1, 0.1);
  let wanted = 0;
  for (let n = 0; n < 20_000; n += 1) if (shadow.wants()) wanted += 1;
  assert.ok(wanted > 1_500 && wanted < 2_500, `${wanted} of 20,000`);
});

test("it rests in proportion to what it has taken", async () => {
  const shadow = begin(0.02);
  // Each is slow enough that a slice holds a few only.
  const large = { ...query("ann"), context: { list: Array.from({ length: 5_000 }, (_, n) => n) } };
  for (let n = 0; n < 200; n += 1) if (shadow.wants()) shadow.take(large, evaluate(nobody, query("ann")));
  const started = process.cpuUsage();
  const from = performance.now();
  await sleep(300);
  const { user, system } = process.cpuUsage(started);
  const share = (user + system) / 1_000 / (performance.now() - from);
  assert.ok(shadow.report().evaluated > 0, "it goes on");
  assert.ok(shadow.report().evaluated < 200, "it is not done at once");
  assert.ok(share < 0.5, `${share} of a processor`);
});

test("kinds of differences have a bounded number of examples, and large requests are none", async () => {
  const shadow = begin(1);
  offer(shadow, 20);
  await drained(shadow, 20);
  const large = { ...query("ann"), context: { text: "x".repeat(10_000) } };
  assert.ok(shadow.wants());
  shadow.take(large, evaluate(nobody, large));
  await drained(shadow, 21);
  const { kinds, different } = shadow.report();
  assert.equal(different, 21);
  assert.deepEqual(
    kinds.map(({ count, examples, active, shadow: other }) => [
      count,
      examples.length,
      active.decision,
      other.policies,
    ]),
    [[21, 5, "DENY", ["all"]]],
  );
  assert.ok(kinds[0]?.examples.every(({ context }) => context.text === undefined));
});

test("another comparison begins at nothing, the same goes on, and totals stay", async () => {
  const shadow = begin(1);
  offer(shadow, 3);
  await drained(shadow, 3);
  shadow.compare(comparison("first"));
  assert.equal(shadow.report().evaluated, 3);
  shadow.compare(comparison("second"));
  assert.deepEqual(shadow.report(), { evaluated: 0, different: 0, skipped: 0, kinds: [] });
  offer(shadow, 2);
  await drained(shadow, 2);
  assert.deepEqual(shadow.totals, { evaluated: 5, different: 5, skipped: 0 });
  shadow.compare(undefined);
  assert.equal(shadow.wants(), false);
});

test("reports of replicas add up, by kind", async () => {
  const [one, two] = [begin(1), begin(1)];
  offer(one, 3);
  offer(two, 4, "ben");
  await Promise.all([drained(one, 3), drained(two, 4)]);
  const merged = mergeReports([one.report(), two.report()]);
  assert.deepEqual([merged.evaluated, merged.different, merged.kinds.length], [7, 7, 1]);
  assert.deepEqual([merged.kinds[0]?.count, merged.kinds[0]?.examples.length], [7, 5]);
});
