import assert from "node:assert/strict";
import { test } from "node:test";
import { ServiceError } from "../service-error.ts";
import { createSampler } from "./sampler.ts";
import type { Span } from "./span.ts";
import { createTracer } from "./tracer.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const from = (flags: string): string => `00-${traceId}-00f067aa0ba902b7-${flags}`;

test("the caller decides; where there is none, the trace id does, in the share that is asked for", () => {
  const none = createSampler(0, 1_000_000);
  const all = createSampler(1, 1_000_000);
  assert.equal(none.samples(traceId, true, 0), true);
  assert.equal(all.samples(traceId, false, 0), false);
  const tenth = createSampler(0.1, 1_000_000);
  let sampled = 0;
  for (let index = 0; index < 10_000; index += 1) {
    const id = (BigInt(index) * 0x9e3779b97f4a7c15n).toString(16).padStart(32, "0").slice(-32);
    assert.equal(none.samples(id, undefined, 0), false);
    assert.equal(all.samples(id, undefined, 0), true);
    const first = tenth.samples(id, undefined, 0);
    assert.equal(tenth.samples(id, undefined, 0), first);
    if (first) sampled += 1;
  }
  assert.ok(sampled > 800 && sampled < 1_200, `${sampled}`);
});

test("callers cannot make it record more than so many calls a second", () => {
  const sampler = createSampler(0, 3);
  const second = (at: number): number => [1, 2, 3, 4, 5].filter(() => sampler.samples(traceId, true, at)).length;
  assert.equal(second(1_000), 3);
  assert.equal(second(1_999), 0);
  assert.equal(second(2_000), 3);
});

test("spans of a call, and of what it calls", () => {
  const spans: Span[] = [];
  const sink = { record: (span: Span) => void spans.push(span), close: async () => {} };
  const tracer = createTracer(createSampler(0, 100), sink);
  assert.equal(tracer.sample(from("01"), true), from("01"));
  assert.equal(tracer.sample(from("00"), true), from("00"));
  // Not the caller's flag, but one that was made here: the ratio decides.
  assert.equal(tracer.sample(from("01"), false), from("00"));
  assert.equal(tracer.start("a", "client", from("00"), {}), undefined);
  tracer.served(from("00"), () => assert.fail("an unsampled call is not described"));

  const span = tracer.start("a", "client", from("01"), { target: "b" });
  const [, trace, id, flags] = span?.traceparent.split("-") ?? [];
  assert.deepEqual([trace, flags], [traceId, "01"]);
  span?.end(new ServiceError("UNAVAILABLE", "It is away.", { reason: "AWAY" }));
  tracer.served(from("01"), () => ({
    parent: `00-${traceId}-b7ad6b7169203331-01`,
    name: "s",
    startedAt: 1,
    attributes: {},
    failure: undefined,
  }));
  const [client, server] = spans;
  assert.deepEqual(
    [client?.spanId, client?.parentSpanId, client?.kind, client?.failure],
    [id, "00f067aa0ba902b7", "client", { code: "UNAVAILABLE", reason: "AWAY" }],
  );
  assert.deepEqual(
    [server?.traceId, server?.spanId, server?.parentSpanId, server?.kind],
    [traceId, "00f067aa0ba902b7", "b7ad6b7169203331", "server"],
  );
});
