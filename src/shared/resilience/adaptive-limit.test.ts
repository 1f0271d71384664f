import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AdaptiveLimit } from "./adaptive-limit.ts";

/** Begins calls, as many as there are places for, and answers how many that were. */
function fill(limit: AdaptiveLimit): number {
  let calls = 0;
  while (limit.enter(now)) calls += 1;
  return calls;
}

function finish(limit: AdaptiveLimit, calls: number, outcome: () => void): void {
  for (let call = 0; call < calls; call += 1) {
    outcome();
    limit.leave();
  }
}

/** One that has been lowered to 8 calls. */
function lowered(max: number): AdaptiveLimit {
  const limit = new AdaptiveLimit(max);
  for (let call = 0; call < 16; call += 1) limit.enter(now);
  finish(limit, 16, () => limit.recordRefused(0, 1));
  return limit;
}

/** Soon after the calls of `lowered`. */
const now = 10;

describe("an adaptive limit", () => {
  it("lets no more calls in than its maximum", () => {
    const limit = new AdaptiveLimit(3);
    assert.equal(fill(limit), 3);
    limit.leave();
    assert.equal(fill(limit), 1);
  });

  it("falls to half of what was in flight, once for calls that were in flight together", () => {
    const limit = lowered(1_000);
    assert.equal(limit.current, 8);
    assert.equal(fill(limit), 8);
    limit.recordRefused(2, 3);
    assert.equal(limit.current, 4);
  });

  it("rises by one for each limit's worth of answers, up to its maximum", () => {
    const limit = lowered(16);
    finish(limit, fill(limit), () => limit.recordAccepted());
    // By half: no more than half of the limit is in flight when the last of them come back.
    assert.equal(limit.current, 8);
    for (let round = 0; round < 40; round += 1) finish(limit, fill(limit), () => limit.recordAccepted());
    assert.equal(limit.current, 16);
  });

  it("does not rise while it is not reached", () => {
    const limit = lowered(1_000);
    for (let call = 0; call < 1_000; call += 1) {
      limit.enter(now);
      finish(limit, 1, () => limit.recordAccepted());
    }
    assert.equal(limit.current, 8);
  });

  it("forgets refusals that are long past", () => {
    const limit = lowered(1_000);
    assert.equal(fill(limit), 8);
    assert.equal(limit.enter(4_000), false);
    assert.equal(limit.enter(6_000), true);
    assert.equal(limit.current, 1_000);
  });

  it("never falls below one", () => {
    const limit = lowered(1_000);
    for (let time = 2; time < 50; time += 1) {
      limit.recordRefused(time, time);
      assert.equal(limit.enter(now), true);
      limit.leave();
    }
    assert.equal(limit.current, 1);
  });
});
