import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import {
  AuthenticateRequestSchema,
  AuthorizeRequestSchema,
  AuthService,
} from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { createDecisionClient } from "../src/shared/client/decisions/decision-client.ts";
import { createServiceClient } from "../src/shared/client/service-client.ts";
import { openStream } from "../test/support/evaluate-stream.ts";
import type { BenchOptions } from "./main.ts";
import { startServices } from "./support/services.ts";

const serverCore = 1;
const sampleEveryMs = 5_000;

const user = (id: string) => ({ type: "User", id });
const action = (id: string) => ({ type: "Action", id });
const handbook = { type: "Document", id: "handbook" };
/** Questions on the demo's policies, and their answers. */
const known = [
  { principal: user("alice"), action: action("edit"), resource: handbook, decision: Decision.ALLOW },
  { principal: user("bob"), action: action("edit"), resource: handbook, decision: Decision.DENY },
  { principal: user("bob"), action: action("view"), resource: handbook, decision: Decision.ALLOW },
] as const;

/** What was asked of one kind, and what came back. */
interface Tally {
  asked: number;
  right: number;
  wrong: number;
  failed: number;
}

/**
 * Mixed load on both services, at rates that leave them room: single calls, batches, streams of rows and columns, and
 * password and token sign-ins. Each question must get exactly one answer, the right one; policy-service must have decided exactly
 * as often as it was asked; and memory must not grow.
 */
export async function runSoakBench({ seconds, progress }: BenchOptions): Promise<object> {
  const services = await startServices(serverCore);
  const { evaluate, authenticateToken, authorize } = services.targets;
  const tallies: Record<string, Tally> = {};
  const end = Date.now() + seconds * 1_000;
  const connection = { target: "bench", unavailableReason: "BENCH", deadlineMs: 10_000, maxConcurrent: 10_000 };
  const policy = createServiceClient(PolicyService, { ...connection, address: `127.0.0.1:${evaluate.port}` });
  const auth = createServiceClient(AuthService, { ...connection, address: `127.0.0.1:${authorize.port}` });
  const batching = createDecisionClient({ ...connection, address: `127.0.0.1:${evaluate.port}` });
  const raw = new Client(`127.0.0.1:${evaluate.port}`, credentials.createInsecure());

  function tallyOf(name: string): Tally {
    tallies[name] ??= { asked: 0, right: 0, wrong: 0, failed: 0 };
    return tallies[name];
  }

  /** Starts `perSecond` calls a second, on time whether or not earlier ones are answered. */
  async function atRate(name: string, perSecond: number, call: (n: number) => Promise<boolean>): Promise<void> {
    const tally = tallyOf(name);
    const count = (outcome: "right" | "wrong" | "failed"): void => {
      tally[outcome] += 1;
    };
    const running = new Set<Promise<void>>();
    const start = performance.now();
    for (let n = 0; Date.now() < end; ) {
      for (const due = ((performance.now() - start) / 1_000) * perSecond; n < due; n += 1) {
        tally.asked += 1;
        const one = call(n).then(
          (right) => count(right ? "right" : "wrong"),
          () => count("failed"),
        );
        running.add(one);
        void one.finally(() => running.delete(one));
      }
      await sleep(5);
    }
    await Promise.all(running);
  }

  /** One stream, frame after frame; an answer that was not asked for, or comes twice, counts as wrong. */
  async function stream(form: "rows" | "columns", size: number, framesPerSecond: number): Promise<void> {
    const tally = tallyOf(`stream of ${form}`);
    const { send, next, raw: call } = openStream(raw);
    send({ case: "open", value: {} });
    await next();
    let frameId = 0;
    while (Date.now() < end) {
      const started = performance.now();
      frameId += 1;
      tally.asked += size;
      if (form === "rows") {
        const open = new Map(Array.from({ length: size }, (_, n) => [`${frameId}.${n}`, known[n % known.length]!]));
        const items = [...open].map(([id, { decision: _, ...question }]) => ({ id, ...question }));
        send({ case: "rows", value: { items } });
        while (open.size > 0) {
          const frame = await next();
          for (const { id, result } of frame.case === "rows" ? frame.value.results : []) {
            const wanted = open.get(id);
            const isRight = result.case === "decision" && result.value.decision === wanted?.decision;
            tally[isRight ? "right" : "wrong"] += 1;
            open.delete(id);
          }
        }
      } else {
        const uids =
          frameId === 1 ? known.flatMap(({ principal, action, resource }) => [principal, action, resource]) : [];
        const column = (at: number): number[] => Array.from({ length: size }, (_, n) => (n % known.length) * 3 + at);
        send({
          case: "columns",
          value: { frameId, uids, principals: column(0), actions: column(1), resources: column(2) },
        });
        const frame = await next();
        const decisions = frame.case === "columns" && frame.value.frameId === frameId ? frame.value.decisions : [];
        for (let n = 0; n < size; n += 1) {
          tally[decisions[n] === known[n % known.length]!.decision ? "right" : "wrong"] += 1;
        }
      }
      await sleep(Math.max(0, 1_000 / framesPerSecond - (performance.now() - started)));
    }
    call.end();
  }

  const token = fromBinary(AuthenticateRequestSchema, authenticateToken.message);
  const authorizeRequest = fromBinary(AuthorizeRequestSchema, authorize.message);
  const question = (n: number) => known[n % known.length]!;

  const samples: { second: number; authMiB: number; policyMiB: number }[] = [];
  async function watch(): Promise<void> {
    const start = Date.now();
    while (Date.now() < end) {
      await sleep(Math.min(sampleEveryMs, Math.max(0, end - Date.now())));
      const memory = await services.memory();
      const mib = (bytes: number): number => Number((bytes / 2 ** 20).toFixed(1));
      const second = Math.round((Date.now() - start) / 1_000);
      samples.push({ second, authMiB: mib(memory.auth), policyMiB: mib(memory.policy) });
      progress(`${second} s: auth-service ${mib(memory.auth)} MiB, policy-service ${mib(memory.policy)} MiB`);
    }
  }

  try {
    const before = await services.decisions();
    await Promise.all([
      watch(),
      atRate("Evaluate", 500, async (n) => {
        const { decision: wanted, ...request } = question(n);
        return (await policy.evaluate(request)).decision === wanted;
      }),
      atRate("batching client", 2_000, async (n) => {
        const { decision: wanted, ...request } = question(n);
        return (await batching.evaluate(request)).decision === wanted;
      }),
      atRate("EvaluateBatch of 100", 10, async () => {
        const items = Array.from({ length: 100 }, (_, n) => question(n));
        const { results } = await policy.evaluateBatch({ items });
        return results.every(
          ({ result }, n) => result.case === "decision" && result.value.decision === question(n).decision,
        );
      }),
      stream("rows", 100, 50),
      stream("columns", 1_000, 100),
      atRate("Authenticate by token", 200, async () => (await auth.authenticate(token)).principal?.id === "alice"),
      atRate("Authenticate by password", 2, async (n) => {
        const [username, password] = n % 2 === 0 ? (["alice", "wonderland"] as const) : (["bob", "builder"] as const);
        const answer = await auth.authenticate({ credential: { case: "password", value: { username, password } } });
        return answer.principal?.id === username;
      }),
      atRate("Authorize", 200, async () => (await auth.authorize(authorizeRequest)).allowed),
    ]);
    const decided = (await services.decisions()) - before;
    const asked =
      ["Evaluate", "batching client", "stream of rows", "stream of columns", "Authorize"].reduce(
        (sum, name) => sum + tallyOf(name).asked,
        0,
      ) +
      100 * tallyOf("EvaluateBatch of 100").asked;
    const half = samples.slice(Math.floor(samples.length / 2));
    const growth = (key: "authMiB" | "policyMiB"): number =>
      Number(((half.at(-1)?.[key] ?? 0) - (half[0]?.[key] ?? 0)).toFixed(1));
    return {
      seconds,
      table: Object.entries(tallies).map(([kind, tally]) => ({ kind, ...tally })),
      answers: {
        asked: Object.values(tallies).reduce((sum, tally) => sum + tally.asked, 0),
        lostOrDoubled: Object.values(tallies).reduce(
          (sum, { asked, right, wrong, failed }) => sum + Math.abs(asked - right - wrong - failed),
          0,
        ),
        wrong: Object.values(tallies).reduce((sum, { wrong }) => sum + wrong, 0),
        failed: Object.values(tallies).reduce((sum, { failed }) => sum + failed, 0),
      },
      decisions: { asked, counted: decided },
      servicesUp: services.isUp(),
      secondHalfGrowthMiB: { auth: growth("authMiB"), policy: growth("policyMiB") },
      samples,
    };
  } finally {
    batching.close();
    policy.close();
    auth.close();
    raw.close();
    await services.stop();
  }
}
