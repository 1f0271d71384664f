import type { ConfigFields } from "./config.ts";
import { duration, integer, oneOf } from "./parsers.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Settings that every service has: how it logs, what it accepts, and how it ends. */
export interface HostSettings {
  readonly profile: "production" | "demo";
  readonly logLevel: LogLevel;
  readonly drainTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnectionAgeMs: number;
  readonly maxConnectionAgeGraceMs: number;
}

/** Where each comes from. */
export const hostFields: ConfigFields<HostSettings> = {
  profile: {
    env: "GATEHOUSE_PROFILE",
    doc: "`demo` allows demo data and binds to loopback only; `production` logs JSON.",
    schema: oneOf("production", "demo"),
    fallback: "production",
  },
  logLevel: {
    env: "LOG_LEVEL",
    doc: "Least severe level that is logged. Successful calls are logged at `debug`.",
    schema: oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    fallback: "info",
  },
  drainTimeoutMs: {
    env: "DRAIN_TIMEOUT",
    doc: "How long calls in flight may take to finish after SIGTERM.",
    schema: duration(0, 600_000),
    fallback: "20s",
  },
  maxMessageBytes: {
    env: "GRPC_MAX_MESSAGE_BYTES",
    doc: "Largest message that is received or sent.",
    schema: integer(1_024, 67_108_864),
    fallback: "1048576",
  },
  maxConcurrentStreams: {
    env: "GRPC_MAX_CONCURRENT_STREAMS",
    doc: "Calls in flight on one connection.",
    schema: integer(1, 100_000),
    fallback: "2000",
  },
  maxConnectionAgeMs: {
    env: "GRPC_MAX_CONNECTION_AGE",
    doc: "Age at which a connection is asked to close, so that new replicas get their share.",
    schema: duration(1_000),
    fallback: "5m",
  },
  maxConnectionAgeGraceMs: {
    env: "GRPC_MAX_CONNECTION_AGE_GRACE",
    doc: "How long calls on such a connection may take to finish.",
    schema: duration(0),
    fallback: "30s",
  },
};
