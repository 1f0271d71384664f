import * as config from "../shared/config/config.ts";
import { boolean, duration, host, integer, oneOf, port, text } from "../shared/config/parsers.ts";

/** Configuration of policy-service, read from the environment. docs/configuration.md is generated from it. */
export const policyFields = {
  profile: config.field({
    env: "GATEHOUSE_PROFILE",
    doc: "`demo` allows demo data and binds to loopback only; `production` logs JSON.",
    schema: oneOf("production", "demo"),
    fallback: "production",
  }),
  grpcHost: config.field({
    env: "POLICY_GRPC_HOST",
    doc: "Address that both ports listen on. `0.0.0.0` in a pod.",
    schema: host,
    fallback: "127.0.0.1",
  }),
  grpcPort: config.field({
    env: "POLICY_GRPC_PORT",
    doc: "gRPC port: PolicyService, health and reflection.",
    schema: port,
    fallback: "50052",
  }),
  httpPort: config.field({
    env: "POLICY_HTTP_PORT",
    doc: "HTTP port: Connect and gRPC-Web of the same services, `/livez`, `/readyz`, `/metrics`.",
    schema: port,
    fallback: "8082",
  }),
  policyDir: config.field({
    env: "POLICY_DIR",
    doc: "Directory of `*.cedar` policies, `schema.cedarschema`, `entities.json` and `links.json`; reloaded when it changes.",
    schema: text,
  }),
  skipFailingForbids: config.field({
    env: "POLICY_SKIP_FAILING_FORBIDS",
    doc: "`true`: a `forbid` that fails is skipped, as in Cedar's standard semantics. `false`: it denies, reason INDETERMINATE.",
    schema: boolean,
    fallback: "false",
  }),
  logLevel: config.field({
    env: "LOG_LEVEL",
    doc: "Least severe level that is logged. Successful calls are logged at `debug`.",
    schema: oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    fallback: "info",
  }),
  drainTimeoutMs: config.field({
    env: "DRAIN_TIMEOUT",
    doc: "How long calls in flight may take to finish after SIGTERM.",
    schema: duration(0, 600_000),
    fallback: "20s",
  }),
  maxMessageBytes: config.field({
    env: "GRPC_MAX_MESSAGE_BYTES",
    doc: "Largest message that is received or sent.",
    schema: integer(1_024, 67_108_864),
    fallback: "1048576",
  }),
  maxConcurrentStreams: config.field({
    env: "GRPC_MAX_CONCURRENT_STREAMS",
    doc: "Calls in flight on one connection.",
    schema: integer(1, 100_000),
    fallback: "2000",
  }),
  maxConnectionAgeMs: config.field({
    env: "GRPC_MAX_CONNECTION_AGE",
    doc: "Age at which a connection is asked to close, so that new replicas get their share.",
    schema: duration(1_000),
    fallback: "5m",
  }),
  maxConnectionAgeGraceMs: config.field({
    env: "GRPC_MAX_CONNECTION_AGE_GRACE",
    doc: "How long calls on such a connection may take to finish.",
    schema: duration(0),
    fallback: "30s",
  }),
} as const;

export type PolicyConfig = config.Config<typeof policyFields>;
