import * as v from "valibot";
import { type AuditSettings, auditFields, share } from "../shared/audit/settings.ts";
import type { ConfigFields } from "../shared/config/config.ts";
import { type HostSettings, hostFields } from "../shared/config/host-settings.ts";
import { boolean, duration, host, integer, oneOf, port, text } from "../shared/config/parsers.ts";
import { type StoreSettings, storeFields } from "../shared/config/store-settings.ts";
import { type PeerTlsSettings, peerTlsFields, type TlsSettings, tlsFields } from "../shared/config/tls-settings.ts";
import { type TraceSettings, traceFields } from "../shared/config/trace-settings.ts";
import type { StepUp } from "./cedar/explain.ts";
import { createMask, type Mask } from "./domain/mask.ts";

/** Settings of policy-service. */
export interface PolicyConfig
  extends HostSettings,
    StoreSettings,
    TlsSettings,
    PeerTlsSettings,
    TraceSettings,
    AuditSettings {
  readonly grpcHost: string;
  readonly grpcPort: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly policySource: "directory" | "store";
  readonly policyDir: string;
  readonly adminKey: string;
  readonly authAddress: string;
  readonly stepUps: readonly StepUp[];
  readonly shadowCpuShare: number;
  readonly skipFailingForbids: boolean;
  readonly decisionLogSample: number;
  readonly decisionLogDenials: boolean;
  readonly decisionLogRate: number;
  readonly decisionLogBytes: number;
  readonly decisionLogMask: Mask;
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
  policySource: {
    env: "POLICY_SOURCE",
    doc: "`directory`: the active policies are those of POLICY_DIR, followed as it changes. `store`: those that were published and activated by PolicyAdminService, on all replicas alike.",
    schema: oneOf("directory", "store"),
    fallback: "directory",
  },
  policyDir: {
    env: "POLICY_DIR",
    doc: "Directory of `*.cedar` policies, `schema.cedarschema`, `entities.json` and `links.json`; reloaded when it changes. With POLICY_SOURCE=store, what a store without any active policies begins with.",
    schema: text,
    fallback: "",
  },
  adminKey: {
    env: "POLICY_ADMIN_KEY",
    doc: "A key that PolicyAdminService accepts as an admin's, of at least 32 characters. Unset: none.",
    schema: v.pipe(
      v.string(),
      v.check((key) => key === "" || key.length >= 32, "must be at least 32 characters long"),
    ),
    fallback: "",
    sensitive: true,
  },
  authAddress: {
    env: "AUTH_ADDRESS",
    doc: "Where auth-service listens, to be asked whose credential an administrative call carries: `host:port` or a gRPC name. Unset: only POLICY_ADMIN_KEY is accepted.",
    schema: text,
    fallback: "",
  },
  ...peerTlsFields("AUTH", "auth-service"),
  stepUps: {
    env: "POLICY_STEP_UPS",
    doc: "Context attributes that a caller could obtain, tried one by one on a DENY that is explained: `path=value`, joined by commas; values are JSON. An example: `mfa=true,session.assurance=2`.",
    schema: v.pipe(
      v.string(),
      v.rawTransform(({ dataset, addIssue, NEVER }): readonly StepUp[] => {
        const parsed = parseStepUps(dataset.value);
        if (typeof parsed !== "string") return parsed;
        addIssue({ message: parsed });
        return NEVER;
      }),
    ),
    fallback: "mfa=true",
  },
  shadowCpuShare: {
    env: "POLICY_SHADOW_CPU",
    doc: "Most of one processor that evaluating a shadow revision may take, in percent; requests beyond that are skipped, and counted.",
    schema: v.pipe(
      integer(1, 100),
      v.transform((percent) => percent / 100),
    ),
    fallback: "10",
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
  ...tlsFields,
  ...storeFields,
  ...auditFields,
  decisionLogSample: {
    env: "DECISION_LOG_SAMPLE",
    doc: "Share of the decisions that are published on the topic `audit`, from 0 to 1.",
    schema: share,
    fallback: "0",
  },
  decisionLogDenials: {
    env: "DECISION_LOG_DENIALS",
    doc: "Whether every denial is, whatever that share.",
    schema: boolean,
    fallback: "false",
  },
  decisionLogRate: {
    env: "DECISION_LOG_RATE",
    doc: "Most decisions that are published in a second; more are dropped, and counted.",
    schema: integer(1, 1_000_000),
    fallback: "2000",
  },
  decisionLogBytes: {
    env: "DECISION_LOG_BYTES",
    doc: "Most that context and entities of a published decision may take; larger ones are left out of it.",
    schema: integer(0, 65_536),
    fallback: "16384",
  },
  decisionLogMask: {
    env: "DECISION_LOG_MASK",
    doc: "Attributes masked in published decisions, as paths joined by commas: `context.client.ip`, `entities.email` for that attribute of any entity, `*` for any name. What is named like a secret always is.",
    schema: v.pipe(
      v.string(),
      v.rawTransform(({ dataset, addIssue, NEVER }): Mask => {
        try {
          return createMask(dataset.value.split(",").flatMap((path) => path.trim() || []));
        } catch (error) {
          addIssue({ message: (error as Error).message });
          return NEVER;
        }
      }),
    ),
    fallback: "",
  },
  ...hostFields,
  ...traceFields,
};

/** Reads step-ups; answers what is wrong with them as a text. */
function parseStepUps(text: string): readonly StepUp[] | string {
  const stepUps: StepUp[] = [];
  for (const part of text.split(",")) {
    const [, path = "", json = ""] = /^\s*([A-Za-z_][\w.]*)=(.+?)\s*$/.exec(part) ?? [];
    try {
      stepUps.push({ path: path.split("."), value: JSON.parse(json) });
    } catch {
      return "must be `path=value` pairs joined by commas, their values in JSON";
    }
  }
  return stepUps;
}
