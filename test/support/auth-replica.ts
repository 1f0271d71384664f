import { randomBytes } from "node:crypto";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { type ChildService, isEdgeReady, startChildService } from "../../src/cli/child-service.ts";
import { freePort } from "./ports.ts";

/** One auth-service as a process of its own, with the demo's users. */
export interface AuthReplica {
  readonly port: number;
  readonly httpPort: number;
  readonly service: ChildService;
  readonly auth: Client<typeof AuthService>;
  readonly identity: Client<typeof IdentityService>;
  readonly output: readonly string[];
  /** The sum of a metric over its labels. */
  metric(name: string): Promise<number>;
  /** Starts it again on its ports, once it has ended. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Signs the tokens of all replicas of a test process. */
const encryptionKey = randomBytes(32).toString("base64");

/** Starts a replica and waits until it serves. */
export async function startAuthReplica(env: Readonly<Record<string, string>>): Promise<AuthReplica> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const output: string[] = [];
  const { PATH, HOME } = process.env;

  async function start(): Promise<ChildService> {
    const service = startChildService({
      entry: "src/auth/main.ts",
      env: {
        PATH,
        HOME,
        GATEHOUSE_PROFILE: "demo",
        AUTH_GRPC_PORT: String(port),
        AUTH_HTTP_PORT: String(httpPort),
        AUTH_ISSUER: "http://auth.test",
        AUTH_ENCRYPTION_KEY: encryptionKey,
        ARGON2_MEMORY_KIB: "8192",
        ARGON2_PASSES: "1",
        DRAIN_GRACE: "1s",
        ...env,
      },
      isReady: () => isEdgeReady(httpPort),
      onLine: (line) => output.push(line),
    });
    await service.ready.catch((cause: Error) => {
      throw new Error(`${cause.message}\n${output.join("\n")}`, { cause });
    });
    return service;
  }

  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  let service = await start();
  return {
    port,
    httpPort,
    get service() {
      return service;
    },
    auth: createClient(AuthService, transport),
    identity: createClient(IdentityService, transport),
    output,
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
        (sum, [, value]) => sum + Number(value),
        0,
      );
    },
    async restart() {
      await service.exited;
      service = await start();
    },
    async close() {
      service.signal("SIGCONT");
      await service.stop();
    },
  };
}
