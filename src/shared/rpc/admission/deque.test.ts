import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deque } from "./deque.ts";

test("a deque takes from both ends as an array does", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.nat().map((value) => ({ push: value })) },
    fc.constant("oldest" as const),
    fc.constant("newest" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.nat(1_500), (steps, before) => {
      const deque = new Deque<number>();
      const model: number[] = [];
      // So that the array inside is moved up, which happens when many have been taken.
      for (let value = 0; value < before; value += 1) {
        deque.push(value);
        deque.push(value);
        assert.equal(deque.takeOldest() !== undefined, true);
        model.push(value);
        model.push(value);
        model.shift();
      }
      for (const each of steps) {
        if (each === "oldest") assert.equal(deque.takeOldest(), model.shift());
        else if (each === "newest") assert.equal(deque.takeNewest(), model.pop());
        else {
          deque.push(each.push);
          model.push(each.push);
        }
        assert.equal(deque.length, model.length);
        assert.equal(deque.oldest, model[0]);
      }
    }),
    { numRuns: 200 },
  );
});
