import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { startCollector } from "../../../test/support/collector.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { freePort } from "../../../test/support/ports.ts";
import { createLogger } from "../logger/logger.ts";
import { createOtlpExporter } from "./otlp-exporter.ts";
import type { Span } from "./span.ts";

const span = (index: number): Span => ({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: index.toString(16).padStart(16, "0"),
  parentSpanId: "",
  name: "a",
  kind: "internal",
  startedAt: 1,
  endedAt: 2.5,
  attributes: { count: 3 },
  failure: undefined,
});

function create(endpoint: string, intervalMs = 20) {
  const registry = new Registry();
  const lines: string[] = [];
  const logger = createLogger({ service: "test", destination: { write: (line) => void lines.push(line) } });
  const exporter = createOtlpExporter({ endpoint, service: "test", logger, registry, intervalMs });
  const count = async (result: string): Promise<number> => {
    const { values } = (await registry.getSingleMetric("trace_spans_total")?.get()) ?? { values: [] };
    return values.find(({ labels }) => labels.result === result)?.value ?? 0;
  };
  return { exporter, count, lines };
}

test("spans arrive in batches, with their times and attributes", async () => {
  const collector = await startCollector();
  const { exporter, count } = create(`${collector.url}/`);
  try {
    for (let index = 0; index < 1_000; index += 1) exporter.record(span(index));
    await eventually(() => assert.equal(collector.spans.length, 1_000));
    const ids = new Set(collector.spans.map(({ spanId }) => spanId));
    assert.equal(ids.size, 1_000);
    const [first] = collector.spans;
    assert.equal((first?.end ?? 0n) - (first?.start ?? 0n), 1_500_000n);
    assert.equal(first?.attributes.count, "3");
    assert.equal(first?.parentSpanId, undefined);
    // Of today, by the wall clock.
    assert.ok(Math.abs(Number((first?.end ?? 0n) / 1_000_000n) - (performance.timeOrigin + 2.5)) < 5_000);
    await eventually(async () => assert.equal(await count("sent"), 1_000));
  } finally {
    await exporter.close();
    await collector.close();
  }
});

test("what waits is sent at the end", async () => {
  const collector = await startCollector();
  const { exporter } = create(collector.url, 60_000);
  exporter.record(span(1));
  await exporter.close();
  assert.equal(collector.spans.length, 1);
  await collector.close();
});

test("a collector that is away or refuses costs spans, bounded memory, and one line in the log", async () => {
  const refusing = await startCollector(503);
  try {
    for (const endpoint of [`http://127.0.0.1:${await freePort()}`, refusing.url]) {
      const { exporter, count, lines } = create(endpoint);
      for (let index = 0; index < 10_000; index += 1) exporter.record(span(index));
      // Within one turn nothing can be sent, so that all beyond the queue and the batch on its way is dropped at once.
      const atOnce = await count("dropped");
      assert.ok(atOnce >= 10_000 - 4_096 - 512, `${atOnce}`);
      await eventually(async () => assert.equal(await count("dropped"), 10_000));
      assert.equal(await count("sent"), 0);
      assert.equal(lines.filter((line) => line.includes("traces cannot be sent")).length, 1);
      await exporter.close();
    }
  } finally {
    await refusing.close();
  }
});
