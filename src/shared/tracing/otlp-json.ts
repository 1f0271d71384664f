import { statusCodes } from "../service-error.ts";
import { version } from "../version.ts";
import type { Span } from "./span.ts";

/** `Span.SpanKind` of opentelemetry/proto/trace/v1/trace.proto. */
const kinds = { internal: 1, server: 2, client: 3 } as const;
/** `Status.StatusCode` of the same. */
const statusError = 2;

/**
 * The body of an OTLP/HTTP request in JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hex, 64-bit
 * integers as strings.
 *
 * @param epochMs The wall clock when `performance.now()` was 0.
 */
export function toOtlpJson(service: string, spans: readonly Span[], epochMs: number): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf({ "service.name": service, "service.version": version }) },
        scopeSpans: [{ scope: { name: "gatehouse", version }, spans: spans.map((span) => toSpan(span, epochMs)) }],
      },
    ],
  };
}

function toSpan(span: Span, epochMs: number): object {
  const { traceId, spanId, parentSpanId, name, kind, startedAt, endedAt, attributes, failure } = span;
  const outcome =
    failure === undefined
      ? { code: 0, error: {}, status: {} }
      : {
          code: statusCodes[failure.code],
          error: { "error.type": failure.reason },
          status: { status: { code: statusError, message: failure.code } },
        };
  const code = kind === "internal" ? {} : { "rpc.system": "grpc", "rpc.grpc.status_code": outcome.code };
  return {
    traceId,
    spanId,
    ...(parentSpanId === "" ? {} : { parentSpanId }),
    name,
    kind: kinds[kind],
    startTimeUnixNano: nanoseconds(epochMs + startedAt),
    endTimeUnixNano: nanoseconds(epochMs + endedAt),
    attributes: attributesOf({ ...attributes, ...code, ...outcome.error }),
    ...outcome.status,
  };
}

/** Exact to the microsecond: a number of milliseconds holds no more. */
function nanoseconds(ms: number): string {
  return `${BigInt(Math.round(ms * 1_000)) * 1_000n}`;
}

function attributesOf(values: Readonly<Record<string, string | number>>): object[] {
  return Object.entries(values).map(([key, value]) => ({
    key,
    value: typeof value === "string" ? { stringValue: value } : { intValue: String(value) },
  }));
}
