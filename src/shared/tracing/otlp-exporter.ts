import type { Logger } from "pino";
import { Counter, type Registry } from "prom-client";
import { toOtlpJson } from "./otlp-json.ts";
import type { Span } from "./span.ts";
import type { SpanSink } from "./tracer.ts";

export interface OtlpExporterOptions {
  /** Base URL of the collector, for example `http://otel-collector:4318`. */
  readonly endpoint: string;
  /** `service.name` of the spans. */
  readonly service: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** How long a span waits for others at most, in milliseconds. Default: 2,000. */
  readonly intervalMs?: number;
}

/** Spans in one request. */
const maxBatch = 512;
/** Spans that wait; beyond it they are dropped. */
const maxQueued = 4_096;
const timeoutMs = 5_000;
/** How often a collector that cannot be reached is told of in the log. */
const complaintMs = 60_000;

/** Sends spans to a collector by OTLP/HTTP in JSON, in batches, one at a time. What cannot be sent is dropped and counted. */
export function createOtlpExporter(options: OtlpExporterOptions): SpanSink {
  const { service, logger, registry, intervalMs = 2_000 } = options;
  const url = `${options.endpoint.replace(/\/+$/, "")}/v1/traces`;
  const counts = new Counter({
    name: "trace_spans_total",
    help: "Recorded spans: sent to the collector, or dropped because it was away or too many were waiting.",
    labelNames: ["result"],
    registers: [registry],
  });
  let queue: Span[] = [];
  let sending: Promise<void> | undefined;
  let complainedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  async function send(spans: readonly Span[]): Promise<void> {
    // Read anew each time, for the wall clock is set now and then.
    const epochMs = Date.now() - performance.now();
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(toOtlpJson(service, spans, epochMs)),
        signal: AbortSignal.timeout(timeoutMs),
        redirect: "error",
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`the collector answers ${response.status}`);
      counts.inc({ result: "sent" }, spans.length);
    } catch (error) {
      counts.inc({ result: "dropped" }, spans.length);
      if (performance.now() - complainedAt < complaintMs) return;
      complainedAt = performance.now();
      logger.warn({ err: error }, "traces cannot be sent");
    }
  }

  async function sendAll(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, maxBatch);
      queue = queue.slice(maxBatch);
      await send(batch);
    }
  }

  function flush(): Promise<void> {
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
    sending ??= sendAll().finally(() => {
      sending = undefined;
    });
    return sending;
  }

  return {
    record(span) {
      if (queue.length >= maxQueued) {
        counts.inc({ result: "dropped" });
        return;
      }
      queue.push(span);
      if (queue.length >= maxBatch) void flush();
      // Does not hold the process: what ends it closes the exporter first.
      else timer ??= setTimeout(() => void flush(), intervalMs).unref();
    },
    async close() {
      // What a collector that is away would take longer for is lost.
      queue = queue.slice(0, maxBatch);
      await flush();
    },
  };
}
