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
};

/** The bounds of a host that these settings set. */
export function hostLimits(settings: HostSettings): Partial<HostLimits> {
  const { drainDelayMs, drainGraceMs, maxMessageBytes, maxConcurrentStreams } = settings;
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs } = settings;
  return {
    drainDelayMs,
    drainGraceMs,
    maxMessageBytes,
    maxConcurrentStreams,
    maxConnectionAgeMs,
    maxConnectionAgeGraceMs,
  };
}
