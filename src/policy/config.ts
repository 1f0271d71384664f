import type { ConfigFields } from "../shared/config/config.ts";
import { type HostSettings, hostFields } from "../shared/config/host-settings.ts";
import { boolean, duration, host, integer, port, text } from "../shared/config/parsers.ts";

/** Settings of policy-service. */
export interface PolicyConfig extends HostSettings {
  readonly grpcHost: string;
  readonly grpcPort: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly policyDir: string;
  readonly skipFailingForbids: boolean;
  readonly streamMaxInFlight: number;
  readonly streamIdleTimeoutMs: number;
}

/** Where each setting comes from; docs/configuration.md is generated from it. */
export const policyFields: ConfigFields<PolicyConfig> = {
  grpcHost: {
    env: "POLICY_GRPC_HOST",
    doc: "Address of the gRPC port. `0.0.0.0` to be reached from other machines.",
    schema: host,
    fallback: "127.0.0.1",
  },
  grpcPort: {
    env: "POLICY_GRPC_PORT",
    doc: "gRPC port: PolicyService, health and reflection.",
    schema: port,
    fallback: "50052",
  },
  httpHost: {
    env: "POLICY_HTTP_HOST",
    doc: "Address of the HTTP edge. `0.0.0.0` to be reached from other machines.",
    schema: host,
    fallback: "127.0.0.1",
  },
  httpPort: {
    env: "POLICY_HTTP_PORT",
    doc: "HTTP port: Connect and gRPC-Web of the same services, `/livez`, `/readyz`, `/metrics`.",
    schema: port,
    fallback: "8082",
  },
  policyDir: {
    env: "POLICY_DIR",
    doc: "Directory of `*.cedar` policies, `schema.cedarschema`, `entities.json` and `links.json`; reloaded when it changes.",
    schema: text,
  },
  skipFailingForbids: {
    env: "POLICY_SKIP_FAILING_FORBIDS",
    doc: "`true`: a `forbid` that fails is skipped, as in Cedar's standard semantics. `false`: it denies, reason INDETERMINATE.",
    schema: boolean,
    fallback: "false",
  },
  streamMaxInFlight: {
    env: "STREAM_MAX_IN_FLIGHT",
    doc: "Most items that one EvaluateStream may have in flight.",
    schema: integer(1, 100_000),
    fallback: "10000",
  },
  streamIdleTimeoutMs: {
    env: "STREAM_IDLE_TIMEOUT",
    doc: "Ends an EvaluateStream that is silent for so long.",
    schema: duration(1_000, 86_400_000),
    fallback: "5m",
  },
  ...hostFields,
};
