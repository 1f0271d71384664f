import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChildService, isEdgeReady, startChildService } from "../../src/cli/child-service.ts";
import { adminKey } from "../support/policy-replica.ts";
import { freePort } from "../support/ports.ts";
import { type Link, openLink } from "./proxy.ts";
import { type ChaosRedis, startChaosRedis } from "./redis.ts";

/** One process of a service, at the same ports for as long as the run lasts. */
export interface Replica {
  readonly name: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Its way to Redis. */
  readonly redisLink: Link;
  /** Its way to policy-service, for auth-service. */
  readonly policyLink?: Link;
  start(): Promise<void>;
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  isReady(): Promise<boolean>;
}

/** Redis, two auth-services and two policy-services, with proxies between them. */
export interface Cluster {
  readonly redis: ChaosRedis;
  readonly auth: readonly Replica[];
  readonly policy: readonly Replica[];
  /** What the services wrote, the latest lines. */
  readonly output: readonly string[];
  /** The key of the first admin. */
  adminCredential(): Promise<string>;
  close(): Promise<void>;
}

/** By how much the clock of the second auth-service is ahead, and of the first steps back: both within TOKEN_CLOCK_SKEW together. */
const skewMs = 2_000;
const stepMs = -2_000;
const keptLines = 20_000;

interface ReplicaOptions {
  readonly name: string;
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: { readonly grpc: number; readonly http: number };
  readonly redisLink: Link;
  readonly policyLink?: Link;
  readonly onLine: (line: string) => void;
  readonly onCrash: (name: string) => void;
}

function createReplica(options: ReplicaOptions): Replica {
  const { name, ports, redisLink, policyLink, onLine } = options;
  const { PATH, HOME } = process.env;
  let child: ChildService | undefined;
  return {
    name,
    grpcPort: ports.grpc,
    httpPort: ports.http,
    redisLink,
    ...(policyLink === undefined ? {} : { policyLink }),
    async start() {
      const started = startChildService({
        entry: options.entry,
        env: { PATH, HOME, LOG_LEVEL: "info", ...options.env },
        isReady: async () => (await fetch(`http://127.0.0.1:${ports.http}/livez`)).ok,
        onLine: (line) => onLine(`${name} ${line}`),
      });
      child = started;
      void started.exited.then(() => {
        if (child === started) options.onCrash(name);
      });
      await started.ready;
    },
    async kill() {
      const killed = child;
      child = undefined;
      await killed?.stop("SIGKILL");
    },
    signal: (signal) => child?.signal(signal),
    isReady: async () => await isEdgeReady(ports.http).catch(() => false),
  };
}

/** Starts all processes and waits until they live. No policies are active yet. `onCrash` hears of those that end by themselves. */
export async function startCluster(onCrash: (replica: string) => void): Promise<Cluster> {
  const output: string[] = [];
  let credential: string | undefined;
  const onLine = (line: string): void => {
    credential ??= / (gh_[\w-]{64})$/.exec(line)?.[1];
    output.push(line);
    if (output.length > keptLines) output.splice(0, keptLines / 2);
  };
  const redis = await startChaosRedis();
  const links: Link[] = [];
  const link = async (port: number): Promise<Link> => {
    const opened = await openLink(port);
    links.push(opened);
    return opened;
  };
  const ports = async () => ({ grpc: await freePort(), http: await freePort() });

  const policy = await Promise.all(
    [1, 2].map(async (number) => {
      const [own, redisLink] = [await ports(), await link(redis.port)];
      return createReplica({
        name: `policy-${number}`,
        entry: "src/policy/main.ts",
        env: {
          POLICY_GRPC_PORT: String(own.grpc),
          POLICY_HTTP_PORT: String(own.http),
          POLICY_SOURCE: "store",
          POLICY_ADMIN_KEY: adminKey,
          REDIS_URL: `redis://127.0.0.1:${redisLink.port}`,
        },
        ports: own,
        redisLink,
        onLine,
        onCrash,
      });
    }),
  );
  const encryptionKey = randomBytes(32).toString("base64");
  const auth = await Promise.all(
    policy.map(async (decider, index) => {
      const [own, redisLink, policyLink] = [await ports(), await link(redis.port), await link(decider.grpcPort)];
      return createReplica({
        name: `auth-${index + 1}`,
        entry: "test/chaos/skewed-auth.ts",
        env: {
          AUTH_GRPC_PORT: String(own.grpc),
          AUTH_HTTP_PORT: String(own.http),
          AUTH_ISSUER: "http://auth.test",
          AUTH_ENCRYPTION_KEY: encryptionKey,
          ARGON2_MEMORY_KIB: "8192",
          ARGON2_PASSES: "1",
          ARGON2_QUEUE: "1000",
          // The workload presents dead passwords on purpose.
          LOCKOUT_FAILURES: "1000",
          LOCKOUT_NETWORK_FAILURES: "100000",
          POLICY_ADDRESS: `127.0.0.1:${policyLink.port}`,
          // The machine may be busy with more than this.
          POLICY_TIMEOUT: "500ms",
          REDIS_URL: `redis://127.0.0.1:${redisLink.port}`,
          CHAOS_CLOCK_SKEW: String(index * skewMs),
          CHAOS_CLOCK_STEP: String(stepMs),
        },
        ports: own,
        redisLink,
        policyLink,
        onLine,
        onCrash,
      });
    }),
  );
  const replicas = [...policy, ...auth];

  async function close(): Promise<void> {
    await Promise.all(replicas.map((replica) => replica.kill()));
    await Promise.all(links.map((opened) => opened.close()));
    await redis.close();
  }

  try {
    await Promise.all(replicas.map((replica) => replica.start()));
  } catch (error) {
    await close();
    throw new Error(`the services did not start\n${output.slice(-20).join("\n")}`, { cause: error });
  }
  return {
    redis,
    auth,
    policy,
    output,
    async adminCredential() {
      for (let attempt = 0; credential === undefined; attempt += 1) {
        if (attempt > 300) throw new Error("no admin key was announced");
        await sleep(50);
      }
      return credential;
    },
    close,
  };
}
