import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { requestIdFrom, traceparentFrom } from "./trace.ts";

describe("request id", () => {
  it("is the caller's when it is well-formed", () => {
    for (const id of ["a", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "x".repeat(128)])
      assert.equal(requestIdFrom(id), id);
  });

  it("is new when it is not", () => {
    for (const id of [undefined, "", "a b", "a\nb", "ä", "x".repeat(129), '"}']) {
      assert.match(requestIdFrom(id), /^[0-9a-f]{32}$/);
    }
  });

  it("is never the same twice", () => {
    assert.equal(new Set(Array.from({ length: 10_000 }, () => requestIdFrom(undefined))).size, 10_000);
  });
});

describe("traceparent", () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";

  it("stays in the caller's trace, as a child", () => {
    const child = traceparentFrom(`00-${traceId}-00f067aa0ba902b7-01`);
    assert.match(child, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    assert.doesNotMatch(child, /00f067aa0ba902b7/);
  });

  it("begins a new trace, unsampled, where there is none", () => {
    for (const header of [
      undefined,
      "",
      `01-${traceId}-00f067aa0ba902b7-01`,
      `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId.toUpperCase()}-00f067aa0ba902b7-01`,
      `00-${traceId}-00f067aa0ba902b7-01-more`,
    ]) {
      const fresh = traceparentFrom(header);
      assert.match(fresh, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
      assert.ok(!fresh.includes(traceId), header);
    }
  });
});
