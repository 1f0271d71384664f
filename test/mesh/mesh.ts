import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChildService, isEdgeReady, startChildService } from "../../src/cli/child-service.ts";
import { freePort } from "../support/ports.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import type { CertificateFiles } from "./certificates.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";
import { createEnvoyConfig } from "./envoy-config.ts";
import { writeEndpoints } from "./envoy-endpoints.ts";
import { startWorkload, type Workload } from "./workload.ts";

const issuer = "https://auth.example.com";

export type ServiceName = "auth" | "policy";

/** One process of a service. Its ports are its own, as a pod's address is. */
export interface Replica {
  readonly name: ServiceName;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly child: ChildService;
}

/** Two replicas of each service, Redis, a workload, and Envoy between all of them. */
export interface Mesh {
  /** Ports of Envoy: the protected workload, the RPCs of auth-service, its bare connections, the admin's. */
  readonly ports: Readonly<
    Record<"inbound" | "calls" | "connections" | "admin" | "unchecked" | "policy" | "mutualTls", number>
  >;
  readonly workload: Workload;
  readonly redis: RedisServer;
  readonly envoy: Envoy;
  /** Replicas that the proxy knows, by service. */
  readonly replicas: Readonly<Record<ServiceName, readonly Replica[]>>;
  /** Lines that the services have written. */
  readonly output: readonly string[];
  /** Starts one more, waits until it is ready, and tells the proxy. */
  add(name: ServiceName): Promise<Replica>;
  /** Takes one from the proxy, lets it drain and waits for its end. */
  retire(replica: Replica): Promise<void>;
  /** Ends one without a word to anybody. */
  kill(replica: Replica): Promise<void>;
  /** Tells the proxy that a replica that was killed is gone. */
  forget(replica: Replica): void;
  close(): Promise<void>;
}

export interface MeshOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Replicas of each service. Default: 2. */
  readonly count?: number;
  /** Whether auth-service reaches the first policy-service itself, and not by a proxy. Default: false. */
  readonly direct?: boolean;
  readonly nodeFlags?: readonly string[];
  /** Certificate of the workload, and of the authority that others' must be of. Default: no mutual TLS. */
  readonly mutualTls?: CertificateFiles & { readonly authority: string };
}

/** Starts everything and waits until it serves. */
export async function startMesh(options: MeshOptions = {}): Promise<Mesh> {
  const { env = {}, count = 2, direct = false, nodeFlags = [], mutualTls } = options;
  const directory = mkdtempSync(join(tmpdir(), "gatehouse-mesh-"));
  const names = ["inbound", "calls", "connections", "admin", "unchecked", "policy", "mutualTls"] as const;
  const ports = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await freePort()] as const)),
  ) as Mesh["ports"];
  const workloadPort = await freePort();
  const workloadGrpcPort = await freePort();
  const output: string[] = [];
  const replicas: Record<ServiceName, Replica[]> = { auth: [], policy: [] };
  const running = new Set<ChildService>();
  const redis = await startRedisServer();
  const workload = await startWorkload(workloadPort, workloadGrpcPort);
  const { PATH, HOME } = process.env;
  const shared = {
    PATH,
    HOME,
    GATEHOUSE_PROFILE: "demo",
    POLICY_DIR: "policies/documents",
    AUTH_CHECK_MAPPING: "policies/documents/check-mapping.yaml",
    // A machine of two cores that starts processes under load is slower than a cluster: what is proved is that answers
    // are right and come, not how soon.
    POLICY_TIMEOUT: "1s",
    OVERLOAD_TARGET_DELAY: "1s",
    POLICY_ADDRESS: `127.0.0.1:${ports.policy}`,
    REDIS_URL: redis.url,
    DATA_DIR: directory,
    AUTH_ISSUER: issuer,
    AUTH_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    ...env,
  };

  async function start(name: ServiceName): Promise<Replica> {
    const grpcPort = await freePort();
    const httpPort = await freePort();
    const prefix = name.toUpperCase();
    const child = startChildService({
      entry: `src/${name}/main.ts`,
      env: {
        ...shared,
        ...(direct && name === "auth" ? { POLICY_ADDRESS: `127.0.0.1:${replicas.policy[0]?.grpcPort}` } : {}),
        [`${prefix}_GRPC_PORT`]: String(grpcPort),
        [`${prefix}_HTTP_PORT`]: String(httpPort),
      },
      nodeFlags,
      isReady: () => isEdgeReady(httpPort),
      onLine: (line) => output.push(`${name} ${grpcPort}: ${line}`),
    });
    running.add(child);
    await child.ready.catch((cause: Error) => {
      throw new Error(`${cause.message}\n${output.join("\n")}`, { cause });
    });
    return { name, grpcPort, httpPort, child };
  }

  function publish(): void {
    const grpc = (name: ServiceName) => replicas[name].map(({ grpcPort }) => ({ port: grpcPort }));
    writeEndpoints(directory, "auth", grpc("auth"));
    writeEndpoints(directory, "auth-connections", grpc("auth"));
    writeEndpoints(directory, "policy", grpc("policy"));
    writeEndpoints(
      directory,
      "auth-edge",
      replicas.auth.map(({ httpPort }) => ({ port: httpPort })),
    );
  }

  function forget(replica: Replica): void {
    replicas[replica.name] = replicas[replica.name].filter((each) => each !== replica);
    publish();
  }

  async function close(): Promise<void> {
    await envoy?.close();
    await Promise.all([...running].map((child) => child.stop("SIGKILL")));
    workload.close();
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  }

  let envoy: Envoy | undefined;
  try {
    // First, while its ports are free.
    publish();
    envoy = await startEnvoy(
      createEnvoyConfig({
        listenPort: ports.inbound,
        adminPort: ports.admin,
        authGrpc: [],
        authHttp: [],
        upstream: [{ port: workloadPort }],
        upstreamGrpc: [{ port: workloadGrpcPort }],
        issuer,
        uncheckedPort: ports.unchecked,
        policy: { port: ports.policy, grpc: [] },
        callsPort: ports.calls,
        connectionsPort: ports.connections,
        ...(mutualTls === undefined ? {} : { mutualTls: { port: ports.mutualTls, ...mutualTls } }),
        endpoints: directory,
        checkTimeoutMs: 2_000,
        outlierIntervalMs: 500,
        ejectionMs: 2_000,
      }),
      ports.admin,
    );

    const wanted = (["policy", "auth"] as const).flatMap((name) => Array.from({ length: count }, () => name));
    // One after the other: two cores do not start four processes faster at once.
    for (const name of wanted) replicas[name].push(await start(name));
    publish();
  } catch (error) {
    await close();
    throw error;
  }

  return {
    ports,
    workload,
    redis,
    envoy,
    replicas,
    output,
    async add(name) {
      const replica = await start(name);
      replicas[name].push(replica);
      publish();
      return replica;
    },
    async retire(replica) {
      forget(replica);
      // As the pause before SIGTERM in the pod's lifecycle, shortened.
      await sleep(500);
      const code = await replica.child.stop();
      if (code !== 0) throw new Error(`${replica.name} ended with ${code}\n${output.slice(-20).join("\n")}`);
    },
    async kill(replica) {
      await replica.child.stop("SIGKILL");
    },
    forget,
    close,
  };
}
