import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createMetrics } from "./metrics.ts";

/** Samples of a rendered exposition that begin with `name`, by what follows it. */
async function samples(metrics: ReturnType<typeof createMetrics>, name: string): Promise<Record<string, number>> {
  const lines = (await metrics.render()).split("\n").filter((line) => line.startsWith(name));
  return Object.fromEntries(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(name.length, space), Number(line.slice(space + 1))];
    }),
  );
}

describe("metrics", () => {
  it("count calls by method and code", async () => {
    const metrics = createMetrics({ service: "s", process: false });
    metrics.calls("p.S/M").record(0, 1);
    metrics.calls("p.S/M").record(0, 1);
    metrics.calls("p.S/M").record(7, 1);
    assert.deepEqual(await samples(metrics, "service_requests_total"), {
      '{method="p.S/M",code="OK",service="s"}': 2,
      '{method="p.S/M",code="PERMISSION_DENIED",service="s"}': 1,
    });
  });

  it("put durations into cumulative buckets, a bound included in its bucket", async () => {
    const metrics = createMetrics({ service: "s", process: false });
    for (const ms of [0.05, 0.1, 1, 1.5, 250, 5_000]) metrics.calls("m").record(0, ms);
    const name = "service_request_duration_seconds";
    const buckets = await samples(metrics, `${name}_bucket{method="m",le=`);
    assert.deepEqual(buckets, {
      '"0.0001",service="s"}': 2,
      '"0.00025",service="s"}': 2,
      '"0.0005",service="s"}': 2,
      '"0.001",service="s"}': 3,
      '"0.005",service="s"}': 4,
      '"0.01",service="s"}': 4,
      '"0.025",service="s"}': 4,
      '"0.05",service="s"}': 4,
      '"0.1",service="s"}': 4,
      '"0.25",service="s"}': 5,
      '"0.5",service="s"}': 5,
      '"1",service="s"}': 5,
      '"+Inf",service="s"}': 6,
    });
    const sum = (await samples(metrics, `${name}_sum`))['{method="m",service="s"}'] ?? 0;
    assert.ok(Math.abs(sum - 5.25265) < 1e-9);
    assert.deepEqual(await samples(metrics, `${name}_count`), { '{method="m",service="s"}': 6 });
  });

  it("show connections, breakers and caches", async () => {
    const metrics = createMetrics({ service: "s", process: false });
    metrics.connectionOpened();
    metrics.connectionOpened();
    metrics.connectionClosed();
    metrics.breakerState("policy", "half-open");
    const cache = metrics.cache("tokens");
    cache.hit();
    cache.hit();
    cache.hit();
    metrics.cache("tokens").miss();
    metrics.cache("unused");
    for (const scrape of [1, 2]) {
      assert.deepEqual(
        await samples(metrics, "service_active_connections"),
        { '{service="s"}': 1 },
        `scrape ${scrape}`,
      );
      assert.deepEqual(await samples(metrics, "circuit_breaker_state"), { '{target="policy",service="s"}': 2 });
      assert.deepEqual(await samples(metrics, "cache_hit_rate"), { '{cache="tokens",service="s"}': 0.75 });
      assert.equal((await samples(metrics, "cache_lookups_total"))['{cache="tokens",result="hit",service="s"}'], 3);
    }
  });

  it("include the process and its event loop", async () => {
    const text = await createMetrics({ service: "s" }).render();
    assert.match(text, /^process_resident_memory_bytes\{service="s"}/m);
    assert.match(text, /^nodejs_eventloop_lag_seconds\{service="s"}/m);
  });
});
