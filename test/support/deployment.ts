import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChildService, isEdgeReady, startChildService } from "../../src/cli/child-service.ts";
import { freePort } from "./ports.ts";

/** Both services as child processes on free ports of loopback, with the demo profile and a data directory of their own. */
export interface Deployment {
  readonly dataDir: string;
  readonly ports: {
    readonly auth: number;
    readonly authHttp: number;
    readonly policy: number;
    readonly policyHttp: number;
  };
  readonly auth: ChildService;
  readonly policy: ChildService;
  /** Lines that the services have written. */
  readonly output: readonly string[];
  /** Starts a service again after it was stopped or killed, on its old ports. */
  restart(name: "auth" | "policy"): Promise<void>;
  /** Stops both and removes the data. */
  close(): Promise<void>;
}

/** Starts both services and waits until they serve; fails with their output when one ends. */
export async function startDeployment(
  env: Readonly<Record<string, string>> = {},
  isReady: (httpPort: number) => Promise<boolean> = isEdgeReady,
): Promise<Deployment> {
  const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-test-"));
  const ports = {
    auth: await freePort(),
    authHttp: await freePort(),
    policy: await freePort(),
    policyHttp: await freePort(),
  };
  const output: string[] = [];
  const { PATH, HOME } = process.env;
  const fullEnv = {
    PATH,
    HOME,
    GATEHOUSE_PROFILE: "demo",
    POLICY_DIR: "policies/documents",
    AUTH_CHECK_MAPPING: "policies/documents/check-mapping.yaml",
    POLICY_ADDRESS: `127.0.0.1:${ports.policy}`,
    AUTH_ADDRESS: `127.0.0.1:${ports.auth}`,
    AUTH_GRPC_PORT: String(ports.auth),
    AUTH_HTTP_PORT: String(ports.authHttp),
    POLICY_GRPC_PORT: String(ports.policy),
    POLICY_HTTP_PORT: String(ports.policyHttp),
    DATA_DIR: dataDir,
    ...env,
  };
  const start = async (name: "auth" | "policy"): Promise<ChildService> => {
    const child = startChildService({
      entry: `src/${name}/main.ts`,
      env: fullEnv,
      isReady: () => isReady(name === "auth" ? ports.authHttp : ports.policyHttp),
      onLine: (line) => output.push(`${name}: ${line}`),
    });
    await child.ready.catch((cause: Error) => {
      throw new Error(`${cause.message}\n${output.join("\n")}`, { cause });
    });
    return child;
  };
  const services = { policy: await start("policy"), auth: await start("auth") };
  return {
    dataDir,
    ports,
    output,
    get auth() {
      return services.auth;
    },
    get policy() {
      return services.policy;
    },
    async restart(name): Promise<void> {
      await services[name].exited;
      services[name] = await start(name);
    },
    async close(): Promise<void> {
      await Promise.all([services.auth.stop(), services.policy.stop()]);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
