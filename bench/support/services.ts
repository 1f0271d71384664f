import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  AuthenticateRequestSchema,
  AuthorizeRequestSchema,
  AuthService,
} from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { Decision } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import {
  EvaluateBatchRequestSchema,
  EvaluateRequestSchema,
  PolicyService,
} from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { isEdgeReady } from "../../src/cli/child-service.ts";
import { freePort, isListening } from "../../test/support/ports.ts";
import { startPinned } from "./pinned.ts";

/** A unary call to be made over and over. */
export interface Target {
  readonly port: number;
  /** For example `/gatehouse.policy.v1.PolicyService/Evaluate`. */
  readonly path: string;
  readonly message: Uint8Array;
}

/** Both services and a bare grpc-js echo, on one core. */
export interface BenchServices {
  readonly targets: Readonly<Record<"echo" | "evaluate" | "evaluateBatch" | "authenticateToken" | "authorize", Target>>;
  /** CPU time that policy-service has taken, in seconds. */
  policyCpuSeconds(): Promise<number>;
  /** Resident memory of both services, in bytes. */
  memory(): Promise<{ readonly auth: number; readonly policy: number }>;
  /** Decisions that policy-service has counted since its start. */
  decisions(): Promise<number>;
  /** Whether both services are the processes that were started. */
  isUp(): boolean;
  /** Signs in and asks for a decision, so that a server that answers errors fast is not taken for a fast server. */
  check(): Promise<void>;
  stop(): Promise<void>;
}

const question = {
  action: { type: "Action", id: "edit" },
  resource: { type: "Document", id: "handbook" },
};
const evaluateRequest = create(EvaluateRequestSchema, { principal: { type: "User", id: "alice" }, ...question });

/** Settings under which nothing is refused, so that neither a stall nor a full queue is hidden by errors. */
export const patient: Readonly<Record<string, string>> = {
  OVERLOAD_TARGET_DELAY: "60s",
  OVERLOAD_INTERVAL: "60s",
  OVERLOAD_MAX_QUEUED: "100000",
  POLICY_TIMEOUT: "10s",
};

/** Some work: a millisecond of it. */
const batchRequest = create(EvaluateBatchRequestSchema, {
  principal: { type: "User", id: "alice" },
  items: Array.from({ length: 200 }, () => question),
});

export async function startServices(
  core: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<BenchServices> {
  const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-bench-"));
  const ports = {
    echo: await freePort(),
    policy: await freePort(),
    policyHttp: await freePort(),
    auth: await freePort(),
    authHttp: await freePort(),
  };
  const env = {
    ...settings,
    GATEHOUSE_PROFILE: "demo",
    LOG_LEVEL: "error",
    POLICY_DIR: "policies/documents",
    DATA_DIR: dataDir,
    POLICY_ADDRESS: `127.0.0.1:${ports.policy}`,
    POLICY_GRPC_PORT: String(ports.policy),
    POLICY_HTTP_PORT: String(ports.policyHttp),
    AUTH_GRPC_PORT: String(ports.auth),
    AUTH_HTTP_PORT: String(ports.authHttp),
  };
  const children = await Promise.all([
    startPinned("bench/support/echo-server.ts", core, { ECHO_PORT: String(ports.echo) }, () => isListening(ports.echo)),
    startPinned("src/policy/main.ts", core, env, () => isEdgeReady(ports.policyHttp)),
    startPinned("src/auth/main.ts", core, env, () => isEdgeReady(ports.authHttp)),
  ]);
  let ended = 0;
  for (const child of children) void child.exited.then(() => (ended += 1));
  const policy = createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${ports.policy}` }));
  const auth = createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${ports.auth}` }));

  async function stop(): Promise<void> {
    await Promise.all(children.map((child) => child.stop()));
    rmSync(dataDir, { recursive: true });
  }

  async function signIn(): Promise<string> {
    const session = await auth.authenticate({
      credential: { case: "password", value: { username: "alice", password: "wonderland" } },
    });
    return session.sessionToken;
  }

  async function check(credential: { case: "bearerToken"; value: string }): Promise<void> {
    const { decision } = await policy.evaluate(evaluateRequest);
    if (decision !== Decision.ALLOW) throw new Error("Evaluate did not allow what the demo policies allow");
    const { principal } = await auth.authenticate({ credential });
    if (principal?.id !== "alice") throw new Error("Authenticate did not recognize the session");
    const { allowed } = await auth.authorize({ credential, ...question });
    if (!allowed) throw new Error("Authorize did not allow what the demo policies allow");
  }

  try {
    const credential = { case: "bearerToken", value: await signIn() } as const;
    await check(credential);
    const encodedEvaluate = toBinary(EvaluateRequestSchema, evaluateRequest);
    const authenticate = create(AuthenticateRequestSchema, { credential });
    const authorize = create(AuthorizeRequestSchema, { credential, ...question });
    return {
      targets: {
        echo: { port: ports.echo, path: "/bench.Echo/Echo", message: encodedEvaluate },
        evaluate: {
          port: ports.policy,
          path: "/gatehouse.policy.v1.PolicyService/Evaluate",
          message: encodedEvaluate,
        },
        evaluateBatch: {
          port: ports.policy,
          path: "/gatehouse.policy.v1.PolicyService/EvaluateBatch",
          message: toBinary(EvaluateBatchRequestSchema, batchRequest),
        },
        authenticateToken: {
          port: ports.auth,
          path: "/gatehouse.auth.v1.AuthService/Authenticate",
          message: toBinary(AuthenticateRequestSchema, authenticate),
        },
        authorize: {
          port: ports.auth,
          path: "/gatehouse.auth.v1.AuthService/Authorize",
          message: toBinary(AuthorizeRequestSchema, authorize),
        },
      },
      policyCpuSeconds: () => metric(ports.policyHttp, "process_cpu_seconds_total"),
      async memory() {
        const resident = "process_resident_memory_bytes";
        return { auth: await metric(ports.authHttp, resident), policy: await metric(ports.policyHttp, resident) };
      },
      decisions: () => metric(ports.policyHttp, "policy_decisions_total"),
      isUp: () => ended === 0,
      check: () => check(credential),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The sum of a metric over its labels. */
async function metric(httpPort: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}
