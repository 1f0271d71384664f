import type { StatusCode } from "../service-error.ts";

/** Part of a trace: work of one process, with a beginning and an end. */
export interface Span {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** Empty for the root of a trace. */
  readonly parentSpanId: string;
  /** For a call, its full method name. */
  readonly name: string;
  readonly kind: "internal" | "server" | "client";
  /** By `performance.now()`, in milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Never a credential, nor a name of a principal or resource. */
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Code of an error, and its reason; undefined when it went well. */
  readonly failure: { readonly code: StatusCode; readonly reason: string } | undefined;
}

/** The parts of a `traceparent` of version 00 (https://www.w3.org/TR/trace-context/). */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Reads a `traceparent` that this process has made or checked. */
export function readTraceparent(traceparent: string): TraceContext {
  return {
    traceId: traceparent.slice(3, 35),
    spanId: traceparent.slice(36, 52),
    sampled: isSampled(traceparent),
  };
}

/** Whether the flag `sampled`, the lowest bit, is set. */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(53, 55), 16) & 1) === 1;
}
