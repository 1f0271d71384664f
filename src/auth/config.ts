import { type AuditSettings, auditFields, share } from "../shared/audit/settings.ts";
import type { ConfigFields } from "../shared/config/config.ts";
import { type HostSettings, hostFields } from "../shared/config/host-settings.ts";
import { boolean, duration, host, integer, port, text } from "../shared/config/parsers.ts";
import { type StoreSettings, storeFields } from "../shared/config/store-settings.ts";
import { type PeerTlsSettings, peerTlsFields, type TlsSettings, tlsFields } from "../shared/config/tls-settings.ts";
import { type TraceSettings, traceFields } from "../shared/config/trace-settings.ts";
import { type ExternalSettings, externalFields } from "./external-settings.ts";
import { type SignInSettings, signInFields } from "./sign-in-config.ts";
import { type TokenSettings, tokenFields } from "./token-settings.ts";

/** Values of auth-service's configuration. Names that end in `Ms` are in milliseconds. */
export interface AuthConfig
  extends HostSettings,
    StoreSettings,
    TlsSettings,
    PeerTlsSettings,
    SignInSettings,
    TokenSettings,
    ExternalSettings,
    TraceSettings,
    AuditSettings {
  readonly grpcHost: string;
  readonly grpcPort: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly sessionIdleTimeoutMs: number;
  readonly sessionMaxAgeMs: number;
  readonly sessionLimit: number;
  readonly argon2MemoryKib: number;
  readonly argon2Passes: number;
  readonly argon2Parallelism: number;
  readonly argon2Concurrency: number;
  readonly argon2Queue: number;
  readonly policyAddress: string;
  readonly policyTimeoutMs: number;
  readonly policyBreakerFailures: number;
  readonly policyBreakerRecoveryMs: number;
  readonly policyMaxConcurrent: number;
  readonly authorizeSendRoles: boolean;
  readonly authorizeContextMfa: boolean;
  readonly auditTokenChecks: number;
  readonly checkMapping: string;
}

/** Where each comes from and what it is for. */
export const authFields: ConfigFields<AuthConfig> = {
  ...hostFields,
  ...traceFields,
  ...tokenFields,
  ...externalFields,
  grpcHost: {
    env: "AUTH_GRPC_HOST",
    doc: "Address of the gRPC port. `0.0.0.0` to be reached from other machines.",
    schema: host,
    fallback: "127.0.0.1",
  },
  grpcPort: { env: "AUTH_GRPC_PORT", doc: "gRPC port of auth-service.", schema: port, fallback: "50051" },
  httpHost: {
    env: "AUTH_HTTP_HOST",
    doc: "Address of the HTTP edge. `0.0.0.0` to be reached from other machines.",
    schema: host,
    fallback: "127.0.0.1",
  },
  httpPort: { env: "AUTH_HTTP_PORT", doc: "HTTP edge of auth-service.", schema: port, fallback: "8081" },
  ...tlsFields,
  ...storeFields,
  sessionIdleTimeoutMs: {
    env: "SESSION_IDLE_TIMEOUT",
    doc: "Ends a session that is not used for so long.",
    schema: duration(1_000),
    fallback: "30m",
  },
  sessionMaxAgeMs: {
    env: "SESSION_MAX_AGE",
    doc: "Ends a session in any case.",
    schema: duration(1_000),
    fallback: "7d",
  },
  sessionLimit: {
    env: "SESSION_LIMIT",
    doc: "Most sessions of one user; the oldest ends for a new one.",
    schema: integer(1, 1_000),
    fallback: "5",
  },
  argon2MemoryKib: {
    env: "ARGON2_MEMORY_KIB",
    doc: "Memory of one password hash in KiB. Changed parameters take effect on a user's hash at the next sign-in.",
    schema: integer(8_192, 1_048_576),
    fallback: "19456",
  },
  argon2Passes: {
    env: "ARGON2_PASSES",
    doc: "Passes over that memory.",
    schema: integer(1, 16),
    fallback: "2",
  },
  argon2Parallelism: {
    env: "ARGON2_PARALLELISM",
    doc: "Lanes of one password hash.",
    schema: integer(1, 16),
    fallback: "1",
  },
  argon2Concurrency: {
    env: "ARGON2_CONCURRENCY",
    doc: "Most passwords hashed at once. 0: one fewer than there are cores, from 1 to 3. Above 3, raise UV_THREADPOOL_SIZE too.",
    schema: integer(0, 256),
    fallback: "0",
  },
  argon2Queue: {
    env: "ARGON2_QUEUE",
    doc: "Most passwords waiting to be hashed; beyond it, sign-ins are refused with RESOURCE_EXHAUSTED.",
    schema: integer(0, 100_000),
    fallback: "50",
  },
  ...signInFields,
  policyAddress: {
    env: "POLICY_ADDRESS",
    doc: "Where policy-service listens: `host:port` or a gRPC name such as `dns:///policy-service:50052`.",
    schema: text,
    fallback: "localhost:50052",
  },
  ...peerTlsFields("POLICY", "policy-service"),
  policyTimeoutMs: {
    env: "POLICY_TIMEOUT",
    doc: "Time given to policy-service, retries included; a caller's deadline can only shorten it.",
    schema: duration(1, 60_000),
    fallback: "100ms",
  },
  policyBreakerFailures: {
    env: "POLICY_BREAKER_FAILURES",
    doc: "Failures in a row that open the circuit to policy-service.",
    schema: integer(1, 10_000),
    fallback: "5",
  },
  policyBreakerRecoveryMs: {
    env: "POLICY_BREAKER_RECOVERY",
    doc: "How long an open circuit stays open before one call may try policy-service.",
    schema: duration(10, 600_000),
    fallback: "1s",
  },
  policyMaxConcurrent: {
    env: "POLICY_MAX_CONCURRENT",
    doc: "Most calls to policy-service at once; as many again may wait.",
    schema: integer(1, 100_000),
    fallback: "1000",
  },
  authorizeSendRoles: {
    env: "AUTHORIZE_SEND_ROLES",
    doc: 'Whether Authorize sends the roles of the principal, each as a parent `Role::"<name>"`. They then stand in for the whole entity that policy-service holds of the principal, its attributes included; when false, that entity is used.',
    schema: boolean,
    fallback: "false",
  },
  authorizeContextMfa: {
    env: "AUTHORIZE_CONTEXT_MFA",
    doc: "Whether Authorize tells policies in `context.mfa` if a second factor was used. A strict schema must declare it. A caller's own `mfa` is dropped either way.",
    schema: boolean,
    fallback: "false",
  },
  ...auditFields,
  auditTokenChecks: {
    env: "AUDIT_TOKEN_CHECKS",
    doc: "Share of the tokens and API keys found valid that are audited, from 0 to 1. Sign-ins and refusals all are.",
    schema: share,
    fallback: "1",
  },
  checkMapping: {
    env: "AUTH_CHECK_MAPPING",
    doc: "File that maps requests to actions and resources for Envoy's `Check`, YAML or JSON, read again when it changes; see [check-mapping](check-mapping.md). Unset: `Check` refuses everything with 503.",
    schema: text,
    fallback: "",
  },
};
