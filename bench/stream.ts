import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2, constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EvaluateRequestSchema } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { EvaluateStreamRequestSchema, EvaluateStreamResponseSchema } from "../gen/gatehouse/policy/v1/stream_pb.ts";
import { isEdgeReady } from "../src/cli/child-service.ts";
import { freePort, isListening } from "../test/support/ports.ts";
import type { BenchOptions } from "./main.ts";
import { grpcFrame, runH2Load } from "./support/h2load.ts";
import { startPinned } from "./support/pinned.ts";

const serverCore = 1;
const loadCore = 0;
const policyCount = 100;
const userCount = 50;
const documentCount = 50;
const batchSizes = [1, 10, 100, 1_000];

type Frame = NonNullable<MessageInitShape<typeof EvaluateStreamRequestSchema>["frame"]>;

const user = (n: number) => ({ type: "User", id: `user-${n % userCount}` });
const action = (n: number) => ({ type: "Action", id: `action-${n % 10}` });
const document = (n: number) => ({ type: "Document", id: `document-${n % documentCount}` });

/** 100 policies, each for a role and an action, with a condition on the resource; 100 resident entities and the actions. */
function writePolicies(dir: string): void {
  const policies = Array.from(
    { length: policyCount },
    (_, n) =>
      `@id("policy-${n}")\npermit (principal in Role::"role-${n}", action == Action::"action-${n % 10}", resource is Document)\nwhen { !resource.locked };\n`,
  );
  writeFileSync(join(dir, "policies.cedar"), policies.join("\n"));
  const entities = [
    ...Array.from({ length: userCount }, (_, n) => ({
      uid: user(n),
      attrs: {},
      parents: [{ type: "Role", id: `role-${n}` }],
    })),
    ...Array.from({ length: documentCount }, (_, n) => ({
      uid: document(n),
      attrs: { locked: n % 4 === 0 },
      parents: [],
    })),
  ];
  writeFileSync(join(dir, "entities.json"), JSON.stringify(entities));
}

function encode(frame: Frame): Buffer {
  return grpcFrame(toBinary(EvaluateStreamRequestSchema, create(EvaluateStreamRequestSchema, { frame })));
}

function rowFrame(size: number): Buffer {
  const items = Array.from({ length: size }, (_, n) => ({
    id: String(n),
    principal: user(n),
    action: action(n),
    resource: document(n * 7),
  }));
  return encode({ case: "rows", value: { items } });
}

const table = [
  ...Array.from({ length: userCount }, (_, n) => user(n)),
  ...Array.from({ length: 10 }, (_, n) => action(n)),
  ...Array.from({ length: documentCount }, (_, n) => document(n)),
];

function columnFrame(size: number, uids: typeof table): Buffer {
  const column = (index: (n: number) => number): number[] => Array.from({ length: size }, (_, n) => index(n));
  return encode({
    case: "columns",
    value: {
      frameId: 1,
      uids,
      principals: column((n) => n % userCount),
      actions: column((n) => userCount + (n % 10)),
      resources: column((n) => userCount + 10 + ((n * 7) % documentCount)),
    },
  });
}

/** Decisions/s of one stream: frames encoded beforehand, a few in flight, answers counted by their frames, one decoded. */
async function measure(port: number, first: Buffer, frame: Buffer, size: number, seconds: number): Promise<number> {
  const session = connectHttp2(`http://127.0.0.1:${port}`, {
    settings: { initialWindowSize: 4 * 2 ** 20, enablePush: false },
  });
  session.once("connect", () => session.setLocalWindowSize(16 * 2 ** 20));
  const stream = session.request({
    ":method": "POST",
    ":path": "/gatehouse.policy.v1.PolicyService/EvaluateStream",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const inFlight = Math.max(4, Math.min(512, Math.ceil(4_000 / size)));
  const burst = Buffer.concat(Array.from({ length: inFlight }, () => frame));
  let answers = 0;
  let sample: Buffer | undefined;
  const done = new Promise<number>((resolve, reject) => {
    let pending: Buffer = Buffer.alloc(0);
    let start = 0;
    let counted = 0;
    stream.on("error", reject);
    session.on("error", reject);
    stream.on("trailers", (trailers) => reject(new Error(`the stream ended: ${trailers["grpc-message"]}`)));
    stream.on("data", (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      let arrived = 0;
      while (pending.length >= 5) {
        const end = 5 + pending.readUInt32BE(1);
        if (pending.length < end) break;
        sample = pending.subarray(5, end);
        pending = pending.subarray(end);
        answers += 1;
        arrived += 1;
      }
      const now = performance.now();
      // The first answers open the stream and warm the server up.
      if (start === 0 && answers * size > 200_000) {
        start = now;
        counted = answers;
      }
      if (start !== 0 && now - start > seconds * 1_000) {
        resolve(((answers - counted) * size * 1_000) / (now - start));
        return;
      }
      if (arrived > 0) stream.write(arrived === inFlight ? burst : burst.subarray(0, arrived * frame.length));
    });
  });
  stream.write(Buffer.concat([encode({ case: "open", value: {} }), first, burst]));
  const rate = await done;
  checkSample(sample, size);
  stream.on("error", () => undefined);
  stream.close(constants.NGHTTP2_CANCEL);
  session.destroy();
  return Math.round(rate);
}

/** A server that answers faults fast is not a fast server. */
function checkSample(sample: Buffer | undefined, size: number): void {
  if (sample === undefined) throw new Error("no answer");
  const { frame } = fromBinary(EvaluateStreamResponseSchema, sample);
  if (frame.case === "rows") {
    const decided = frame.value.results.filter(({ result }) => result.case === "decision").length;
    if (decided !== size) throw new Error(`${decided} of ${size} rows were decided`);
  } else if (frame.case !== "columns" || frame.value.faults.length > 0 || frame.value.decisions.length !== size) {
    throw new Error("columns were not all decided");
  }
}

/** Decisions/s through EvaluateStream on one core, rows and columns by batch size, beside unary calls and a bare echo. */
export async function runStreamBench({ seconds, progress }: BenchOptions): Promise<object> {
  const policyDir = mkdtempSync(join(tmpdir(), "gatehouse-bench-"));
  const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-bench-"));
  writePolicies(policyDir);
  const ports = { echo: await freePort(), policy: await freePort(), policyHttp: await freePort() };
  const env = {
    LOG_LEVEL: "warn",
    POLICY_DIR: policyDir,
    DATA_DIR: dataDir,
    POLICY_GRPC_PORT: String(ports.policy),
    POLICY_HTTP_PORT: String(ports.policyHttp),
  };
  progress("starting the servers");
  const children = await Promise.all([
    startPinned("bench/support/echo-server.ts", serverCore, { ECHO_PORT: String(ports.echo) }, () =>
      isListening(ports.echo),
    ),
    startPinned("src/policy/main.ts", serverCore, env, () => isEdgeReady(ports.policyHttp)),
  ]);
  try {
    const message = toBinary(
      EvaluateRequestSchema,
      create(EvaluateRequestSchema, { principal: user(1), action: action(1), resource: document(1) }),
    );
    const load = { message, seconds, inFlight: 200, core: loadCore };
    progress("echo");
    const echo = await runH2Load({ ...load, address: `127.0.0.1:${ports.echo}`, path: "/bench.Echo/Echo" });
    progress("unary");
    const path = "/gatehouse.policy.v1.PolicyService/Evaluate";
    const unary = await runH2Load({ ...load, address: `127.0.0.1:${ports.policy}`, path });
    const rows: Record<string, number> = {};
    const columns: Record<string, number> = {};
    for (const size of batchSizes) {
      progress(`rows in frames of ${size}`);
      const frame = rowFrame(size);
      rows[size] = await measure(ports.policy, frame, frame, size, seconds);
      progress(`columns in frames of ${size}`);
      columns[size] = await measure(ports.policy, columnFrame(size, table), columnFrame(size, []), size, seconds);
    }
    const best = (rates: Readonly<Record<string, number>>): number => Math.max(...Object.values(rates));
    const ratio = (rate: number): number => Number((rate / unary.requestsPerSecond).toFixed(1));
    return {
      policies: policyCount,
      residentEntities: userCount + documentCount,
      decisionsPerSecond: { echo: echo.requestsPerSecond, unary: unary.requestsPerSecond, rows, columns },
      ratioToUnary: { rows: ratio(best(rows)), columns: ratio(best(columns)) },
    };
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    for (const dir of [policyDir, dataDir]) rmSync(dir, { recursive: true });
  }
}
