/**
 * `npm start`: both services on loopback with the demo profile, each in a process of its own, until Ctrl-C.
 */
import { type ConfigFields, readConfig } from "../shared/config/config.ts";
import { integer } from "../shared/config/parsers.ts";
import { type ChildService, isEdgeReady, startChildService } from "./child-service.ts";
import { type DemoPorts, demoBanner } from "./demo-banner.ts";

const port = integer(1, 65_535);
const fields: ConfigFields<DemoPorts> = {
  authGrpcPort: { env: "AUTH_GRPC_PORT", doc: "gRPC port of auth-service", schema: port, fallback: "50051" },
  authHttpPort: { env: "AUTH_HTTP_PORT", doc: "HTTP port of auth-service", schema: port, fallback: "8081" },
  policyGrpcPort: { env: "POLICY_GRPC_PORT", doc: "gRPC port of policy-service", schema: port, fallback: "50052" },
  policyHttpPort: { env: "POLICY_HTTP_PORT", doc: "HTTP port of policy-service", schema: port, fallback: "8082" },
};

/** Starts a service and passes its output on with its name before each line. */
function start(name: string, env: Readonly<Record<string, string | undefined>>, httpPort: number): ChildService {
  return startChildService({
    entry: `src/${name}/main.ts`,
    env,
    isReady: () => isEdgeReady(httpPort),
    onLine: (line, stream) => process[stream].write(`${name.padEnd(6)} │ ${line}\n`),
  });
}

async function main(): Promise<void> {
  const ports = readConfig(fields, process.env);
  const env = {
    GATEHOUSE_PROFILE: "demo",
    LOG_FORMAT: "pretty",
    POLICY_DIR: "policies/documents",
    DECISION_LOG_SAMPLE: "1",
    AUTH_CHECK_MAPPING: "policies/documents/check-mapping.yaml",
    // Other policies may have a schema that does not know it.
    ...(process.env.POLICY_DIR ? {} : { AUTHORIZE_CONTEXT_MFA: "true" }),
    POLICY_ADDRESS: `127.0.0.1:${ports.policyGrpcPort}`,
    AUTH_ADDRESS: `127.0.0.1:${ports.authGrpcPort}`,
    ...process.env,
  };
  const services: ChildService[] = [];
  let stopping: Promise<unknown> | undefined;
  // Once: a service takes a second signal for the wish not to wait, and its own grace period bounds the wait.
  const stop = async (): Promise<void> => {
    stopping ??= Promise.all(services.map((service) => service.stop()));
    await stopping;
  };
  process.on("SIGINT", () => void stop());
  process.on("SIGTERM", () => void stop());

  services.push(start("policy", env, ports.policyHttpPort), start("auth", env, ports.authHttpPort));
  const serving = await Promise.all(services.map((service) => service.ready)).then(
    () => true,
    () => false,
  );
  if (serving) {
    process.stdout.write(demoBanner(ports));
    await Promise.race(services.map((service) => service.exited));
  }
  await stop();
  const codes = await Promise.all(services.map((service) => service.exited));
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
