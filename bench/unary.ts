import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthenticateRequestSchema, AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { EvaluateRequestSchema, PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { isEdgeReady } from "../src/cli/child-service.ts";
import { freePort, isListening } from "../test/support/ports.ts";
import type { BenchOptions } from "./main.ts";
import { runH2Load } from "./support/h2load.ts";
import { startPinned } from "./support/pinned.ts";
import { median } from "./support/statistics.ts";

const serverCore = 1;
const loadCore = 0;
const rounds = 3;

const evaluateRequest = create(EvaluateRequestSchema, {
  principal: { type: "User", id: "alice" },
  action: { type: "Action", id: "edit" },
  resource: { type: "Document", id: "handbook" },
});

/** Requests/s of both services and of a bare echo, one server at a time on one core, in interleaved rounds. */
export async function runUnaryBench({ seconds, progress }: BenchOptions): Promise<object> {
  const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-bench-"));
  const ports = {
    echo: await freePort(),
    policy: await freePort(),
    policyHttp: await freePort(),
    auth: await freePort(),
    authHttp: await freePort(),
  };
  const env = {
    GATEHOUSE_PROFILE: "demo",
    LOG_LEVEL: "warn",
    POLICY_DIR: "policies/documents",
    DATA_DIR: dataDir,
    POLICY_ADDRESS: `127.0.0.1:${ports.policy}`,
    POLICY_GRPC_PORT: String(ports.policy),
    POLICY_HTTP_PORT: String(ports.policyHttp),
    AUTH_GRPC_PORT: String(ports.auth),
    AUTH_HTTP_PORT: String(ports.authHttp),
  };
  progress("starting the servers");
  const children = await Promise.all([
    startPinned("bench/support/echo-server.ts", serverCore, { ECHO_PORT: String(ports.echo) }, () =>
      isListening(ports.echo),
    ),
    startPinned("src/policy/main.ts", serverCore, env, () => isEdgeReady(ports.policyHttp)),
    startPinned("src/auth/main.ts", serverCore, env, () => isEdgeReady(ports.authHttp)),
  ]);
  try {
    const token = await checkAnswers(ports.policy, ports.auth);
    const targets = {
      echo: {
        address: `127.0.0.1:${ports.echo}`,
        path: "/bench.Echo/Echo",
        message: toBinary(EvaluateRequestSchema, evaluateRequest),
      },
      evaluate: {
        address: `127.0.0.1:${ports.policy}`,
        path: "/gatehouse.policy.v1.PolicyService/Evaluate",
        message: toBinary(EvaluateRequestSchema, evaluateRequest),
      },
      authenticateToken: {
        address: `127.0.0.1:${ports.auth}`,
        path: "/gatehouse.auth.v1.AuthService/Authenticate",
        message: toBinary(
          AuthenticateRequestSchema,
          create(AuthenticateRequestSchema, { credential: { case: "bearerToken", value: token } }),
        ),
      },
    };
    const rates: Record<keyof typeof targets, number[]> = { echo: [], evaluate: [], authenticateToken: [] };
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, target] of Object.entries(targets)) {
        progress(`round ${round} of ${rounds}: ${name}`);
        const result = await runH2Load({ ...target, seconds, inFlight: 200, core: loadCore });
        if (result.failed > 0) throw new Error(`${name}: ${result.failed} requests failed`);
        rates[name as keyof typeof targets].push(result.requestsPerSecond);
      }
    }
    await checkAnswers(ports.policy, ports.auth);
    const ratio = (name: keyof typeof targets): number =>
      Number(median(rates[name].map((rate, round) => rate / (rates.echo[round] ?? Number.NaN))).toFixed(3));
    return {
      requestsPerSecond: Object.fromEntries(
        Object.entries(rates).map(([name, list]) => [name, Math.round(median(list))]),
      ),
      rounds: rates,
      ratioToEcho: { evaluate: ratio("evaluate"), authenticateToken: ratio("authenticateToken") },
      inFlight: 200,
    };
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    rmSync(dataDir, { recursive: true });
  }
}

/** Signs in and asks for a decision, so that a server that answers errors fast is not taken for a fast server. */
async function checkAnswers(policyPort: number, authPort: number): Promise<string> {
  const policy = createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${policyPort}` }));
  const auth = createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${authPort}` }));
  const { decision } = await policy.evaluate(evaluateRequest);
  if (decision !== Decision.ALLOW) throw new Error("Evaluate did not allow what the demo policies allow");
  const session = await auth.authenticate({
    credential: { case: "password", value: { username: "alice", password: "wonderland" } },
  });
  const again = await auth.authenticate({ credential: { case: "bearerToken", value: session.sessionToken } });
  if (again.principal?.id !== "alice") throw new Error("Authenticate did not recognize the session");
  return session.sessionToken;
}
