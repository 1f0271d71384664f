import type { Logger } from "pino";
import type { TraceSettings } from "../config/trace-settings.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { createOtlpExporter } from "./otlp-exporter.ts";
import { createSampler } from "./sampler.ts";
import { createTracer, type Tracer } from "./tracer.ts";

/** The tracer of a service; none when there is no collector to send to. */
export function openTracer(
  { traceEndpoint, traceSample, traceMaxPerSecond }: TraceSettings,
  { service, metrics, logger }: { readonly service: string; readonly metrics: Metrics; readonly logger: Logger },
): Tracer | undefined {
  if (traceEndpoint === "") return undefined;
  const sink = createOtlpExporter({ endpoint: traceEndpoint, service, logger, registry: metrics.registry });
  return createTracer(createSampler(traceSample, traceMaxPerSecond), sink);
}
