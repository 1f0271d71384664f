import type { Cluster, Replica } from "./cluster.ts";
import { sendMalformed } from "./malformed.ts";
import type { LinkState } from "./proxy.ts";
import type { Random } from "./random.ts";

/** Something that goes wrong, and how it is mended. */
export interface Fault {
  readonly name: string;
  /** What it is done to. */
  readonly target: string;
  /** Does it, and answers how to undo it. */
  inject(random: Random): Promise<() => Promise<void>>;
  /** Replicas that do not learn of changes of policies while it lasts. */
  readonly cutsOff: readonly string[];
  /** Replicas that answer nothing while it lasts. */
  readonly away: readonly string[];
  /** Shortest and longest time for which it is kept up, in milliseconds. Default: 1,000 to 4,000. */
  readonly holdMs?: readonly [number, number];
}

/** Whatever is done to a network here. */
const linkFaults: Readonly<Record<string, LinkState>> = {
  cut: { kind: "cut" },
  "half-open": { kind: "half-open" },
  slow: { kind: "slow", delayMs: 100 },
  "slow by 10 s": { kind: "slow", delayMs: 10_000 },
  throttle: { kind: "throttled", bytesPerSecond: 4_000 },
};

/** Those that a call would not outlive if it waited for their end. */
const outlasts: ReadonlySet<string> = new Set(["half-open", "slow by 10 s"]);

/** Malformed frames and calls that were sent, over all. */
export interface MalformedCount {
  sent: number;
}

/** All faults of a cluster, one for each kind and target. */
export function allFaults(cluster: Cluster, malformed: MalformedCount): Fault[] {
  const { redis, auth, policy } = cluster;
  const replicas = [...policy, ...auth];
  const policyNames = policy.map(({ name }) => name);
  const isPolicy = (replica: Replica): boolean => policy.includes(replica);
  const reset = { cutsOff: [], away: [] } as const;

  function ofProcess(replica: Replica): Fault[] {
    const { name } = replica;
    const common = { target: name, away: [name], cutsOff: isPolicy(replica) ? [name] : [] };
    return [
      {
        ...common,
        name: "kill -9",
        inject: async () => {
          await replica.kill();
          return () => replica.start();
        },
      },
      {
        ...common,
        name: "SIGSTOP",
        inject: async () => {
          replica.signal("SIGSTOP");
          return async () => replica.signal("SIGCONT");
        },
      },
      {
        ...common,
        ...reset,
        name: "malformed frames",
        inject: async (random) => {
          const until = performance.now() + 2_500;
          const counts = await Promise.all(
            [replica.grpcPort, replica.httpPort].map((port) => sendMalformed(port, random.fork(), until)),
          );
          malformed.sent += counts.reduce((sum, count) => sum + count, 0);
          return async () => undefined;
        },
        holdMs: [0, 0],
      },
    ];
  }

  function ofLink(replica: Replica, which: "redisLink" | "policyLink"): Fault[] {
    const link = replica[which];
    if (link === undefined) return [];
    const target = `${replica.name} to ${which === "redisLink" ? "Redis" : "policy-service"}`;
    const cutsOff = which === "redisLink" && isPolicy(replica) ? [replica.name] : [];
    return [
      ...Object.entries(linkFaults).map(([name, state]) => ({
        name: `network ${name}`,
        target,
        cutsOff,
        away: [],
        ...(outlasts.has(name) ? { holdMs: [5_000, 6_000] as const } : {}),
        async inject() {
          link.set(state);
          return async () => link.set({ kind: "open" });
        },
      })),
      {
        name: "network reset",
        target,
        cutsOff,
        away: [],
        async inject() {
          const timer = setInterval(() => link.reset(), 300);
          return async () => clearInterval(timer);
        },
      },
    ];
  }

  const ofRedis: Fault[] = [
    {
      name: "kill -9",
      async inject() {
        await redis.kill();
        return () => redis.start();
      },
    },
    {
      name: "SIGSTOP",
      async inject() {
        redis.signal("SIGSTOP");
        return async () => redis.signal("SIGCONT");
      },
    },
    {
      name: "out of memory",
      async inject() {
        await redis.command("CONFIG", "SET", "maxmemory", "1");
        return async () => void (await redis.command("CONFIG", "SET", "maxmemory", "0"));
      },
    },
    {
      name: "disk full",
      async inject() {
        redis.setDiskFull(true);
        return async () => redis.setDiskFull(false);
      },
    },
    {
      name: "snapshots fail",
      async inject() {
        const dir = String(((await redis.command("CONFIG", "GET", "dir")) as string[])[1]);
        // Nobody, not even root, can make a file there.
        await redis.command("CONFIG", "SET", "dir", "/proc", "save", "3600 1");
        await redis.command("BGSAVE");
        return async () => void (await redis.command("CONFIG", "SET", "dir", dir, "save", ""));
      },
    },
  ].map((fault) => ({ ...fault, target: "Redis", cutsOff: policyNames, away: [] }));

  const steps: Fault = {
    ...reset,
    name: "clock step",
    target: auth[0]?.name ?? "",
    async inject() {
      auth[0]?.signal("SIGUSR2");
      return async () => auth[0]?.signal("SIGUSR2");
    },
  };

  return [
    ...replicas.flatMap(ofProcess),
    ...replicas.flatMap((replica) => ofLink(replica, "redisLink")),
    ...auth.flatMap((replica) => ofLink(replica, "policyLink")),
    ...ofRedis,
    steps,
  ];
}

/** Where a fault of a kind can happen: what two replicas have alike is one place. */
function placeOf({ name, target }: Fault): string {
  return `${name} ${target.replace(/-\d/g, "")}`;
}

/** The order of a run: seeded, every kind of fault at every kind of place before any comes again. */
export function planFaults(faults: readonly Fault[], random: Random): Fault[] {
  const first = new Map<string, Fault>();
  for (const fault of random.shuffled(faults)) {
    if (!first.has(placeOf(fault))) first.set(placeOf(fault), fault);
  }
  const chosen = [...first.values()];
  return [...chosen, ...random.shuffled(faults.filter((fault) => !chosen.includes(fault)))];
}
