import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Admission, type Arrival } from "./admission.ts";

let admission: Admission;
let events: string[];
beforeEach(() => (events = []));
afterEach(() => admission.close());

function arrival(name: string, agoMs = 0, late = false): Arrival {
  return {
    arrivedAt: performance.now() - agoMs,
    isLate: () => late,
    begin: () => void events.push(`begin ${name}`),
    refuse: () => void events.push(`refuse ${name}`),
    drop: () => void events.push(`drop ${name}`),
  };
}

function admissionOf(limits: {
  maxInFlight?: number;
  maxQueued?: number;
  targetDelayMs?: number;
  overloadIntervalMs?: number;
}) {
  admission = new Admission({
    maxInFlight: 10,
    maxQueued: 1_000,
    targetDelayMs: 1_000,
    overloadIntervalMs: 10_000,
    ...limits,
  });
}

describe("admission", () => {
  it("begins calls in the turn in which they came, in order", async () => {
    admissionOf({});
    admission.queueUp(arrival("a"));
    admission.queueUp(arrival("b"));
    assert.deepEqual(events, []);
    await turn();
    assert.deepEqual(events, ["begin a", "begin b"]);
  });

  it("begins the newest first once the oldest has waited for longer than the target", async () => {
    admissionOf({});
    admission.queueUp(arrival("a", 1_100));
    admission.queueUp(arrival("b", 500));
    admission.queueUp(arrival("c"));
    await turn();
    assert.deepEqual(events, ["begin c", "begin b", "begin a"]);
  });

  it("lets a burst wait for the interval, and no longer", async () => {
    const limits = { maxInFlight: 1, targetDelayMs: 10, overloadIntervalMs: 60_000 };
    admissionOf(limits);
    admission.enter();
    admission.queueUp(arrival("a", 30_000));
    await turn();
    assert.deepEqual(events, []);
    admission.close();
    admissionOf(limits);
    admission.enter();
    admission.queueUp(arrival("b", 61_000));
    await turn();
    assert.deepEqual(events, ["refuse b"]);
    assert.deepEqual(admission.shed, { queue_full: 0, queue_delay: 1 });
  });

  it("lets nothing wait for longer than the target once it has been behind for the interval", async () => {
    admissionOf({ maxInFlight: 1, targetDelayMs: 1_000, overloadIntervalMs: 5_000 });
    admission.enter();
    admission.queueUp(arrival("a", 6_000));
    admission.queueUp(arrival("b", 2_000));
    admission.queueUp(arrival("c"));
    await turn();
    assert.deepEqual(events, ["refuse a", "refuse b"]);
  });

  it("refuses nothing that it has room for", async () => {
    admissionOf({ maxInFlight: 2, targetDelayMs: 10, overloadIntervalMs: 20 });
    admission.queueUp(arrival("a", 3_000));
    admission.queueUp(arrival("b", 2_000));
    admission.queueUp(arrival("c", 1_000));
    await turn();
    assert.deepEqual(events, ["refuse a", "begin c", "begin b"]);
  });

  it("drops what is late, and gives its turn to another", async () => {
    admissionOf({ maxInFlight: 1 });
    admission.queueUp(arrival("a", 0, true));
    admission.queueUp(arrival("b"));
    await turn();
    assert.deepEqual(events, ["drop a", "begin b"]);
    assert.equal(admission.expired, 1);
  });

  it("begins no more at once than there are places, and the next when one is left", async () => {
    admissionOf({ maxInFlight: 1 });
    admission.enter();
    admission.queueUp(arrival("a"));
    await turn();
    assert.deepEqual(events, []);
    assert.equal(admission.refuses(), true);
    admission.leave();
    await turn();
    assert.deepEqual(events, ["begin a"]);
  });

  it("makes room for the newest once the oldest has waited for longer than the target", () => {
    admissionOf({ maxQueued: 2 });
    admission.queueUp(arrival("a", 1_100));
    admission.queueUp(arrival("b", 1_050));
    admission.queueUp(arrival("c"));
    assert.deepEqual(events, ["refuse a"]);
    assert.equal(admission.queued, 2);
  });

  it("refuses at once what finds the queue full", () => {
    admissionOf({ maxQueued: 1 });
    admission.queueUp(arrival("a"));
    admission.queueUp(arrival("b"));
    assert.deepEqual(events, ["refuse b"]);
    assert.deepEqual(admission.shed, { queue_full: 1, queue_delay: 0 });
  });
});
