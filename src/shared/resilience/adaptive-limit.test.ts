import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AdaptiveLimit } from "./adaptive-limit.ts";

describe("an adaptive limit", () => {
  it("lets no more calls in than it says", () => {
    const limit = new AdaptiveLimit({ initial: 2, max: 10 });
    assert.deepEqual([limit.enter(), limit.enter(), limit.enter()], [true, true, false]);
    limit.leaveAccepted();
    assert.equal(limit.enter(), true);
  });

  it("rises by one for each limit's worth of answers, up to its maximum", () => {
    const limit = new AdaptiveLimit({ initial: 10, max: 12 });
    const round = (): void => {
      const calls = limit.current;
      for (let call = 0; call < calls; call += 1) limit.enter();
      for (let call = 0; call < calls; call += 1) limit.leaveAccepted();
    };
    round();
    round();
    assert.equal(limit.current, 10);
    for (let count = 0; count < 20; count += 1) round();
    assert.equal(limit.current, 12);
  });

  it("does not rise while it is not reached", () => {
    const limit = new AdaptiveLimit({ initial: 10, max: 1_000 });
    for (let call = 0; call < 1_000; call += 1) {
      limit.enter();
      limit.leaveAccepted();
    }
    assert.equal(limit.current, 10);
  });

  it("falls by a fifth, once for calls that were in flight together", () => {
    const limit = new AdaptiveLimit({ initial: 10, max: 10 });
    for (let call = 0; call < 4; call += 1) limit.enter();
    limit.leaveRefused(0, 5);
    limit.leaveRefused(1, 6);
    assert.equal(limit.current, 8);
    limit.leaveRefused(5, 7);
    assert.equal(limit.current, 6);
  });

  it("never falls below one", () => {
    const limit = new AdaptiveLimit({ initial: 2, max: 10 });
    for (let time = 0; time < 50; time += 1) {
      assert.equal(limit.enter(), true);
      limit.leaveRefused(time, time);
    }
    assert.equal(limit.current, 1);
  });
});
