import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { SecondFactorService } from "../../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { createAuthApp } from "../../src/auth/app.ts";
import { authFields } from "../../src/auth/config.ts";
import { readConfig } from "../../src/shared/config/config.ts";
import type { ServiceApp } from "../../src/shared/lifecycle/run-service.ts";
import { createLogger } from "../../src/shared/logger/logger.ts";

/** One of some auth-services that share a store. */
export interface AuthReplica {
  readonly auth: Client<typeof AuthService>;
  readonly factors: Client<typeof SecondFactorService>;
  readonly grpcPort: number;
  readonly httpPort: number;
}

export interface AuthReplicas {
  readonly all: readonly AuthReplica[];
  /** What they have logged, at the most talkative level. */
  logs(): string;
  close(): Promise<void>;
}

/** Starts auth-services with the demo's users on free ports of loopback and one store. They tell the time by `clock`. */
export async function startAuthReplicas(
  count: number,
  env: Readonly<Record<string, string>>,
  clock: () => number,
): Promise<AuthReplicas> {
  const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-replicas-"));
  const lines: string[] = [];
  const logger = createLogger({
    service: "test",
    level: "debug",
    destination: { write: (line) => void lines.push(line) },
  });
  const config = readConfig(authFields, {
    GATEHOUSE_PROFILE: "demo",
    AUTH_GRPC_PORT: "0",
    AUTH_HTTP_PORT: "0",
    ARGON2_MEMORY_KIB: "8192",
    ARGON2_PASSES: "1",
    ARGON2_QUEUE: "1000",
    DATA_DIR: dataDir,
    ...env,
  });
  const apps: ServiceApp[] = [];
  const all: AuthReplica[] = [];
  for (let number = 0; number < count; number += 1) {
    const app = createAuthApp(config, logger, { clock });
    apps.push(app);
    const { grpcPort, httpPort } = await app.start();
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` });
    all.push({
      auth: createClient(AuthService, transport),
      factors: createClient(SecondFactorService, transport),
      grpcPort,
      httpPort,
    });
  }
  return {
    all,
    logs: () => lines.join(""),
    async close() {
      await Promise.all(apps.map((app) => app.stop()));
      rmSync(dataDir, { recursive: true });
    },
  };
}

/** The reason that a call was refused with, and the seconds to wait where it tells them; "accepted" when it was not. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "accepted";
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    const seconds = delay === undefined ? "" : ` ${Number(delay.seconds) + delay.nanos / 1e9}s`;
    return `${info?.reason ?? error.message}${seconds}`;
  }
}
