import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { PolicyAdminService } from "../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { PolicyService } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { DecisionClient } from "../../src/shared/client/decisions/decision.ts";
import { createDecisionClient } from "../../src/shared/client/decisions/decision-client.ts";
import {
  createServiceClient,
  type ServiceClient,
  type ServiceClientOptions,
} from "../../src/shared/client/service-client.ts";
import type { Cluster, Replica } from "./cluster.ts";

export interface AuthClients {
  readonly name: string;
  /** The replica of policy-service that it asks. */
  readonly decidedBy: string;
  readonly auth: ServiceClient<typeof AuthService>;
  readonly identity: ServiceClient<typeof IdentityService>;
}

export interface PolicyClients {
  readonly name: string;
  readonly policy: ServiceClient<typeof PolicyService>;
  readonly admin: ServiceClient<typeof PolicyAdminService>;
  /** Asks over one EvaluateStream. */
  readonly decisions: DecisionClient;
}

export interface Clients {
  readonly auth: readonly AuthClients[];
  readonly policy: readonly PolicyClients[];
  close(): void;
}

/** Connects to every replica, past the proxies. Each call is sent once, and no circuit breaker answers in a replica's place. */
export function connectClients(cluster: Cluster): Clients {
  const closing: (() => void)[] = [];
  const opened = <T extends { close(): void }>(client: T): T => {
    closing.push(() => client.close());
    return client;
  };
  const optionsOf = ({ name, grpcPort }: Replica): ServiceClientOptions => ({
    address: `127.0.0.1:${grpcPort}`,
    target: name,
    unavailableReason: "CHAOS_UNREACHABLE",
    deadlineMs: 60_000,
    maxRetries: 0,
    maxReconnectMs: 200,
    breaker: { consecutiveFailures: 1e9, minimumCalls: 1e9 },
  });
  return {
    auth: cluster.auth.map((replica, index) => ({
      name: replica.name,
      decidedBy: cluster.policy[index]?.name ?? "",
      auth: opened(createServiceClient(AuthService, optionsOf(replica))),
      identity: opened(createServiceClient(IdentityService, optionsOf(replica))),
    })),
    policy: cluster.policy.map((replica) => ({
      name: replica.name,
      policy: opened(createServiceClient(PolicyService, optionsOf(replica))),
      admin: opened(createServiceClient(PolicyAdminService, optionsOf(replica))),
      decisions: opened(createDecisionClient({ ...optionsOf(replica), maxRetries: 2, retryRatio: 0.1 })),
    })),
    close: () => {
      for (const close of closing) close();
    },
  };
}
