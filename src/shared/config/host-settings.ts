import type { LogLevel } from "../logger/logger.ts";
import { logLevels } from "../logger/logger.ts";
import type { HostLimits } from "../rpc/limits.ts";
import type { ConfigFields } from "./config.ts";
import { duration, integer, oneOf } from "./parsers.ts";

/** Settings that every service has: how it logs, what it accepts, and how it ends. */
export interface HostSettings {
  readonly profile: "production" | "demo";
  readonly logLevel: LogLevel;
  readonly logFormat: "json" | "pretty";
  readonly drainDelayMs: number;
  readonly drainGraceMs: number;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnectionAgeMs: number;
  readonly maxConnectionAgeGraceMs: number;
  readonly maxInFlight: number;
  readonly maxQueued: number;
  readonly targetDelayMs: number;
  readonly overloadIntervalMs: number;
}

/** Where each comes from. */
export const hostFields: ConfigFields<HostSettings> = {
  profile: {
    env: "GATEHOUSE_PROFILE",
    doc: "`demo` adds the users alice, bob and admin with known passwords, and refuses to listen beyond the loopback address.",
    schema: oneOf("production", "demo"),
    fallback: "production",
  },
  logLevel: {
    env: "LOG_LEVEL",
    doc: "Least severe level that is logged. Calls that succeed are logged at `debug`.",
    schema: oneOf(...logLevels),
    fallback: "info",
  },
  logFormat: {
    env: "LOG_FORMAT",
    doc: "`json`, one object a line, or `pretty` for people.",
    schema: oneOf("json", "pretty"),
    fallback: "json",
  },
  drainDelayMs: {
    env: "DRAIN_DELAY",
    doc: "Time between the end of readiness and the end of accepting connections, for load balancers to notice.",
    schema: duration(0, 120_000),
    fallback: "0s",
  },
  drainGraceMs: {
    env: "DRAIN_GRACE",
    doc: "Time that calls in flight have to finish when the service stops.",
    schema: duration(0, 600_000),
    fallback: "20s",
  },
  maxMessageBytes: {
    env: "GRPC_MAX_MESSAGE_BYTES",
    doc: "Largest message, received or sent.",
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
    doc: "Time that calls in flight on such a connection have to finish.",
    schema: duration(0),
    fallback: "30s",
  },
  maxInFlight: {
    env: "OVERLOAD_MAX_IN_FLIGHT",
    doc: "Unary calls that are worked on at once, those included that wait for a store or another service.",
    schema: integer(1, 1_000_000),
    fallback: "1000",
  },
  maxQueued: {
    env: "OVERLOAD_MAX_QUEUED",
    doc: "Calls that wait for their turn. Beyond it, calls are refused.",
    schema: integer(1, 1_000_000),
    fallback: "2000",
  },
  targetDelayMs: {
    env: "OVERLOAD_TARGET_DELAY",
    doc: "Longest time that calls wait for their turn once the service has been behind for OVERLOAD_INTERVAL; others are refused.",
    schema: duration(1, 60_000),
    fallback: "25ms",
  },
  overloadIntervalMs: {
    env: "OVERLOAD_INTERVAL",
    doc: "How long the service may be behind before calls are refused. Until then a burst may wait for as long.",
    schema: duration(1, 60_000),
    fallback: "250ms",
  },
};

/** The bounds of a host that these settings set. */
export function hostLimits(settings: HostSettings): Partial<HostLimits> {
  const { drainDelayMs, drainGraceMs, maxMessageBytes, maxConcurrentStreams } = settings;
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs } = settings;
  const { maxInFlight, maxQueued, targetDelayMs, overloadIntervalMs } = settings;
  return {
    drainDelayMs,
    drainGraceMs,
    maxMessageBytes,
    maxConcurrentStreams,
    maxConnectionAgeMs,
    maxConnectionAgeGraceMs,
    maxInFlight,
    maxQueued,
    targetDelayMs,
    overloadIntervalMs,
  };
}
