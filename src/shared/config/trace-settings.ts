import * as v from "valibot";
import type { ConfigFields } from "./config.ts";
import { integer } from "./parsers.ts";

/** Settings of tracing. */
export interface TraceSettings {
  /** Empty: no tracing. */
  readonly traceEndpoint: string;
  readonly traceSample: number;
  readonly traceMaxPerSecond: number;
}

const endpoint: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.check((text) => text === "" || isHttpUrl(text), "must be an http or https URL without user, query or fragment"),
);

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return false;
  return [url.username, url.password, url.search, url.hash].every((part) => part === "");
}

const share: v.GenericSchema<string, number> = v.pipe(
  v.string(),
  v.regex(/^(0|1|0?\.\d{1,9}|1\.0+|0\.0)$/, "must be a number from 0 to 1"),
  v.transform(Number),
);

/** Where each comes from. */
export const traceFields: ConfigFields<TraceSettings> = {
  traceEndpoint: {
    env: "OTEL_EXPORTER_OTLP_ENDPOINT",
    doc: "OpenTelemetry collector to send traces to by OTLP/HTTP in JSON, for example `http://otel-collector.monitoring:4318`. Unset: no tracing.",
    schema: endpoint,
    fallback: "",
  },
  traceSample: {
    env: "TRACE_SAMPLE",
    doc: "Share of the traces that begin here that are recorded, 0 to 1. Of others, their callers decide (`traceparent`).",
    schema: share,
    fallback: "0.01",
  },
  traceMaxPerSecond: {
    env: "TRACE_MAX_PER_SECOND",
    doc: "Calls that are traced in a second at most, whatever their callers say.",
    schema: integer(1, 1_000_000),
    fallback: "200",
  },
};
