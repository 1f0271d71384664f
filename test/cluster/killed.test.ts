/**
 * A scripted run of sign-ins, new users, new keys and revocations on three replicas, while replicas and Redis are killed (SIGKILL) at
 * random moments. What was acknowledged must be there in the end, on every replica. `KILL_SEED` repeats a run.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { Redis } from "ioredis";
import { type AuthReplica, startAuthReplica } from "../support/auth-replica.ts";
import { type PolicyReplica, startPolicyReplica } from "../support/policy-replica.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

const seed = Number(process.env.KILL_SEED ?? 1);
const runMs = 40_000;
const workers = 3;
const callMs = 5_000;

/** Mulberry32: the same numbers for the same seed. */
function createRandom(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Kind = "bearerToken" | "apiKey";

/** A credential that was acknowledged, and whether its revocation was. `unknown`: it was asked for, and not answered. */
interface Credential {
  readonly kind: Kind;
  readonly value: string;
  state: "good" | "revoked" | "unknown";
}

describe(`kills at random moments, seed ${seed}`, () => {
  let redis: RedisServer;
  let policy: PolicyReplica;
  let replicas: AuthReplica[];
  let dataDir: string;

  before(async () => {
    dataDir = mkdtempSync(join(tmpdir(), "gatehouse-killed-"));
    redis = await startRedisServer();
    policy = await startPolicyReplica({
      GATEHOUSE_PROFILE: "demo",
      POLICY_DIR: "policies/documents",
      DATA_DIR: dataDir,
    });
    const address = `127.0.0.1:${policy.port}`;
    const env = { REDIS_URL: redis.url, POLICY_ADDRESS: address, POLICY_TIMEOUT: "5s", SESSION_LIMIT: "1000" };
    replicas = [];
    for (let i = 0; i < 3; i += 1) replicas.push(await startAuthReplica({ ...env, LOG_LEVEL: "error" }));
  });
  after(async () => {
    await Promise.all((replicas ?? []).map((replica) => replica.close()));
    await policy.close();
    await redis.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it("lose nothing that was acknowledged", async (t) => {
    const admin = await replicas[0]!.auth.authenticate({
      credential: { case: "password", value: { username: "admin", password: "gatehouse" } },
    });
    const headers = { authorization: `Bearer ${admin.sessionToken}` };
    const options = { headers, timeoutMs: callMs };
    const users: string[] = [];
    const credentials: Credential[] = [];
    const end = performance.now() + runMs;
    let unanswered = 0;

    async function step(random: () => number, worker: number): Promise<void> {
      const { auth, identity } = replicas[Math.floor(random() * replicas.length)]!;
      const what = random();
      if (what < 0.15) {
        const name = `user-${worker}-${users.length}`;
        await identity.createUser({ name, password: "correct horse" }, options);
        users.push(name);
      } else if (what < 0.35) {
        const user = users[Math.floor(random() * users.length)] ?? "bob";
        const made = await identity.createApiKey({ user, displayName: "key" }, options);
        credentials.push({ kind: "apiKey", value: made.key, state: "good" });
      } else if (what < 0.65) {
        const value = { username: "alice", password: "wonderland" };
        const request = { credential: { case: "password", value }, issueTokens: true } as const;
        const { sessionToken, tokens } = await auth.authenticate(request, { timeoutMs: callMs });
        // One of the two is left to be revoked: a session takes its token with it.
        const token = random() < 0.5 ? sessionToken : (tokens?.accessToken ?? "");
        credentials.push({ kind: "bearerToken", value: token, state: "good" });
      } else {
        const good = credentials.filter(({ state }) => state === "good");
        const chosen = good[Math.floor(random() * good.length)];
        // Some are to be left in the end.
        if (chosen === undefined || good.length < 20) return;
        chosen.state = "unknown";
        await auth.revoke({ target: { case: "token", value: chosen.value } }, { timeoutMs: callMs });
        chosen.state = "revoked";
      }
    }

    async function work(worker: number): Promise<void> {
      const random = createRandom(seed * 1_000 + worker);
      while (performance.now() < end) {
        await step(random, worker).catch(({ code }: { code: Code }) => {
          // Whatever else, a good credential must not have been called a wrong one.
          assert.ok(![Code.Unauthenticated, Code.PermissionDenied].includes(code), `code ${code}`);
          unanswered += 1;
        });
        await sleep(10);
      }
    }

    let kills = 0;
    async function kill(): Promise<void> {
      const random = createRandom(seed);
      while (performance.now() < end) {
        await sleep(500 + random() * 2_500);
        const index = Math.floor(random() * (replicas.length + 1));
        const replica = replicas[index];
        kills += 1;
        if (replica === undefined) {
          await redis.kill();
          await sleep(random() * 500);
          await redis.start();
        } else {
          await replica.service.stop("SIGKILL");
          await replica.restart();
        }
      }
    }

    await Promise.all([kill(), ...Array.from({ length: workers }, (_, worker) => work(worker))]);

    const commands = new Redis(redis.port);
    await until("all that was begun is finished", async () => {
      return (await commands.zcard("gatehouse:{revocations}:begun")) === 0;
    });
    commands.disconnect();
    for (const { auth, identity } of replicas) {
      await until("the replica serves", () =>
        identity.getUser({ name: "alice" }, options).then(
          () => true,
          () => false,
        ),
      );
      for (const name of users) assert.equal((await identity.getUser({ name }, options)).user?.name, name);
      for (const { kind, value, state } of credentials) {
        if (state === "unknown") continue;
        const answer = await auth.authenticate({ credential: { case: kind, value } }, { timeoutMs: callMs }).then(
          () => "good",
          ({ code }: { code: Code }) => (code === Code.Unauthenticated ? "revoked" : `code ${code}`),
        );
        assert.equal(answer, state, `${kind}, ${kills} kills`);
      }
    }
    const count = (wanted: Credential["state"]): number => credentials.filter(({ state }) => state === wanted).length;
    t.diagnostic(
      `${kills} kills; ${users.length} users, ${count("good")} credentials good, ${count("revoked")} revoked, ` +
        `${count("unknown")} unknown; ${unanswered} calls without an answer`,
    );
    assert.ok(kills >= 3 && users.length >= 5 && count("good") >= 5 && count("revoked") >= 5);
  });
});
