import { randomHex } from "../rpc/steps/trace.ts";
import type { ServiceError } from "../service-error.ts";
import type { Sampler } from "./sampler.ts";
import { isSampled, readTraceparent, type Span } from "./span.ts";

/** Work that is going on. */
export interface OpenSpan {
  /** W3C `traceparent` of it, to be passed on to what it calls. */
  readonly traceparent: string;
  end(error?: ServiceError): void;
}

/** What a server says of a call that has ended. */
export interface ServedCall extends Pick<Span, "name" | "startedAt" | "attributes" | "failure"> {
  /** The caller's `traceparent`, if it was valid. */
  readonly parent: string | undefined;
}

/**
 * Records spans. Where tracing is off there is no tracer, and nothing is done.
 *
 * A server call needs no object while it runs: its `traceparent` names its span and says whether it is sampled.
 */
export interface Tracer {
  /** The `traceparent` of a call, made from its caller's header by `traceparentFrom`: decides whether it is sampled. */
  sample(traceparent: string, fromCaller: boolean): string;
  /** Records a server call under its own `traceparent`, if that is sampled; only then is it asked what to say of it. */
  served(traceparent: string, call: () => ServedCall): void;
  /** Begins work under a `traceparent`; undefined when that is not sampled. */
  start(
    name: string,
    kind: "client" | "internal",
    parent: string,
    attributes: Span["attributes"],
  ): OpenSpan | undefined;
  /** Sends what is recorded, for as long as a bounded time allows. */
  close(): Promise<void>;
}

/** Where finished spans go. Must not throw, nor wait. */
export interface SpanSink {
  record(span: Span): void;
  close(): Promise<void>;
}

export function createTracer(sampler: Sampler, sink: SpanSink): Tracer {
  return {
    sample(traceparent, fromCaller) {
      const { traceId, sampled } = readTraceparent(traceparent);
      const wanted = sampler.samples(traceId, fromCaller ? sampled : undefined, Date.now());
      return `${traceparent.slice(0, 53)}${wanted ? "01" : "00"}`;
    },
    served(traceparent, call) {
      if (!isSampled(traceparent)) return;
      const { traceId, spanId } = readTraceparent(traceparent);
      const { parent, ...described } = call();
      const parentSpanId = parent === undefined ? "" : readTraceparent(parent).spanId;
      sink.record({ traceId, spanId, parentSpanId, kind: "server", endedAt: performance.now(), ...described });
    },
    start(name, kind, parent, attributes) {
      if (!isSampled(parent)) return undefined;
      const { traceId, spanId: parentSpanId } = readTraceparent(parent);
      const spanId = randomHex(8);
      const startedAt = performance.now();
      return {
        traceparent: `00-${traceId}-${spanId}-01`,
        end(error) {
          const failure = error && { code: error.code, reason: error.reason };
          const endedAt = performance.now();
          sink.record({ traceId, spanId, parentSpanId, name, kind, startedAt, endedAt, attributes, failure });
        },
      };
    },
    close: () => sink.close(),
  };
}
