import { PolicyAdminService } from "../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { PolicyService } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { type ChildService, isEdgeReady, startChildService } from "../../src/cli/child-service.ts";
import { createServiceClient, type ServiceClient } from "../../src/shared/client/service-client.ts";
import { freePort } from "./ports.ts";

/** The key that test replicas accept as an admin's. */
export const adminKey = "an-admin-key-of-the-tests-0123456789";
/** Call options that carry it. */
export const asAdmin = { headers: { authorization: `Bearer ${adminKey}` } };

/** One policy-service as a process of its own, with clients. */
export interface PolicyReplica {
  readonly port: number;
  readonly httpPort: number;
  readonly service: ChildService;
  readonly policy: ServiceClient<typeof PolicyService>;
  readonly admin: ServiceClient<typeof PolicyAdminService>;
  readonly output: readonly string[];
  metric(pattern: RegExp): Promise<number>;
  close(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a replica; `isReady` false does not wait until it has policies. */
export async function startPolicyReplica(
  env: Readonly<Record<string, string>>,
  { waitForPolicies = true }: { readonly waitForPolicies?: boolean } = {},
): Promise<PolicyReplica> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const output: string[] = [];
  const { PATH, HOME } = process.env;
  const service = startChildService({
    entry: "src/policy/main.ts",
    env: {
      PATH,
      HOME,
      POLICY_GRPC_PORT: String(port),
      POLICY_HTTP_PORT: String(httpPort),
      POLICY_ADMIN_KEY: adminKey,
      ...env,
    },
    isReady: () => (waitForPolicies ? isEdgeReady(httpPort) : isLive(httpPort)),
    onLine: (line) => output.push(line),
  });
  await service.ready.catch((cause: Error) => {
    throw new Error(`${cause.message}\n${output.join("\n")}`, { cause });
  });
  const connection = {
    address: `127.0.0.1:${port}`,
    target: "policy-service",
    unavailableReason: "TEST",
    deadlineMs: 20_000,
    maxConcurrent: 10_000,
  };
  const policy = createServiceClient(PolicyService, connection);
  const admin = createServiceClient(PolicyAdminService, connection);
  return {
    port,
    httpPort,
    service,
    policy,
    admin,
    output,
    async metric(pattern) {
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      return Number(pattern.exec(text)?.[1]);
    },
    async close(signal) {
      policy.close();
      admin.close();
      await service.stop(signal);
    },
  };
}

async function isLive(httpPort: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${httpPort}/livez`).then(
    ({ ok }) => ok,
    () => false,
  );
}
