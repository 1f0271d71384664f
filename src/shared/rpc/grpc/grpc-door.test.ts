import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Settings } from "node:http2";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { EvaluateRequestSchema } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { statusCodes } from "../../service-error.ts";
import { frame, rawGrpc } from "../testing/raw-grpc.ts";
import { evaluateRequest, startTestHost, type TestHost } from "../testing/test-host.ts";

const evaluate = "/gatehouse.policy.v1.PolicyService/Evaluate";
const request = (id: string): Uint8Array =>
  toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, evaluateRequest({ id })));

describe("the gRPC port", () => {
  let host: TestHost;
  before(async () => {
    host = await startTestHost();
  });
  after(() => host.stop());

  /** The port still serves after a bad call, and the outcome of that was counted. */
  async function servesOn(): Promise<void> {
    assert.equal((await rawGrpc(host.grpcPort, evaluate, [frame(request("sync"))])).status, 0);
  }

  it("refuses bytes that are no message", async () => {
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(Buffer.from("ff01ff", "hex"))]);
    assert.equal(answer.status, statusCodes.INVALID_ARGUMENT);
    assert.equal(answer.reason, "MALFORMED_MESSAGE");
    await servesOn();
  });

  it("refuses text that is not UTF-8", async () => {
    // principal { type: <C3 28> }
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(Buffer.from("0a040a02c328", "hex"))]);
    assert.equal(answer.status, statusCodes.INVALID_ARGUMENT);
    assert.equal(answer.reason, "MALFORMED_MESSAGE");
  });

  it("refuses nesting that would exhaust the stack", async () => {
    let nested: Buffer = Buffer.from([0x08, 0x00]);
    for (let depth = 0; depth < 2_000; depth += 1) {
      // Value.list_value { values: [nested] }
      const list = Buffer.concat([Buffer.from([0x0a]), varint(nested.length), nested]);
      nested = Buffer.concat([Buffer.from([0x32]), varint(list.length), list]);
    }
    const entry = Buffer.concat([Buffer.from("0a0161", "hex"), Buffer.from([0x12]), varint(nested.length), nested]);
    const fields = Buffer.concat([Buffer.from([0x0a]), varint(entry.length), entry]);
    const context = Buffer.concat([Buffer.from([0x22]), varint(fields.length), fields]);
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(Buffer.concat([request("sync"), context]))]);
    assert.equal(answer.status, statusCodes.INVALID_ARGUMENT);
    await servesOn();
  });

  it("names the invalid fields", async () => {
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(new Uint8Array())]);
    assert.equal(answer.status, statusCodes.INVALID_ARGUMENT);
    assert.deepEqual(answer.fields, ["principal", "action", "resource"]);
  });

  it("refuses a message over the limit, also when it is compressed", async () => {
    const big = new Uint8Array(2_000_000);
    for (const [body, headers] of [
      [frame(big), {}],
      [frame(gzipSync(big), 1), { "grpc-encoding": "gzip" }],
    ] as const) {
      const answer = await rawGrpc(host.grpcPort, evaluate, [body], headers);
      assert.equal(answer.status, statusCodes.RESOURCE_EXHAUSTED);
      assert.equal(answer.reason, "MESSAGE_TOO_LARGE");
      await servesOn();
    }
  });

  it("refuses to send an answer over the limit", async () => {
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(request("big"))]);
    assert.equal(answer.status, statusCodes.RESOURCE_EXHAUSTED);
    assert.equal(answer.reason, "RESPONSE_TOO_LARGE");
  });

  it("reads a compressed message and refuses one that does not decompress", async () => {
    const headers = { "grpc-encoding": "gzip" };
    assert.equal((await rawGrpc(host.grpcPort, evaluate, [frame(gzipSync(request("sync")), 1)], headers)).status, 0);
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(Buffer.from("no gzip"), 1)], headers);
    assert.equal(answer.status, statusCodes.INVALID_ARGUMENT);
  });

  it("refuses a deadline that has passed before the handler sees the call", async () => {
    const before = host.seen.length;
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(request("sync"))], { "grpc-timeout": "0m" });
    assert.equal(answer.status, statusCodes.DEADLINE_EXCEEDED);
    assert.equal(answer.reason, "DEADLINE_EXCEEDED");
    assert.equal(host.seen.length, before);
  });

  it("refuses a deadline that is none", async () => {
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(request("sync"))], { "grpc-timeout": "soon" });
    assert.equal(answer.status, statusCodes.INVALID_ARGUMENT);
  });

  it("aborts the handler's signal at the deadline", async () => {
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(request("hang"))], { "grpc-timeout": "30m" });
    assert.equal(answer.status, statusCodes.DEADLINE_EXCEEDED);
    assert.equal(host.seen.at(-1)?.signal.aborted, true);
  });

  it("takes exactly one request for a unary call", async () => {
    for (const bodies of [[], [frame(request("sync")), frame(request("sync"))]]) {
      const answer = await rawGrpc(host.grpcPort, evaluate, bodies);
      assert.equal(answer.status, statusCodes.UNIMPLEMENTED);
    }
    await servesOn();
  });

  it("answers UNIMPLEMENTED for a method without handler, a missing method and a missing service", async () => {
    for (const path of [
      "/gatehouse.policy.v1.PolicyService/EvaluateBatch",
      "/gatehouse.policy.v1.PolicyService/Nothing",
      "/nothing.Nothing/Nothing",
    ]) {
      assert.equal((await rawGrpc(host.grpcPort, path, [])).status, statusCodes.UNIMPLEMENTED, path);
    }
  });

  it("keeps a well-formed request id and replaces another", async () => {
    await rawGrpc(host.grpcPort, evaluate, [frame(request("sync"))], { "x-request-id": "req-1" });
    assert.equal(host.seen.at(-1)?.requestId, "req-1");
    const refused = await rawGrpc(host.grpcPort, evaluate, [frame(request("refuse"))], { "x-request-id": "a b" });
    assert.match(String(refused.trailers["x-request-id"]), /^[0-9a-f]{32}$/);
  });

  it("announces its header limit, refuses headers over it, and serves the next", async () => {
    const headers = { authorization: "x".repeat(40_000) };
    const answer = await rawGrpc(host.grpcPort, evaluate, [frame(request("sync"))], headers);
    assert.equal(answer.reason, "HEADERS_TOO_LARGE");
    assert.equal(answer.status, statusCodes.RESOURCE_EXHAUSTED);
    const session = connect(`http://127.0.0.1:${host.grpcPort}`);
    const [settings] = (await once(session, "remoteSettings")) as [Settings];
    session.destroy();
    assert.equal(settings.maxHeaderListSize, 32_768);
    assert.equal(settings.maxConcurrentStreams, 2_000);
    await servesOn();
  });

  it("prints no header that it cannot read", async (t) => {
    const print = t.mock.method(console, "error", () => {});
    await rawGrpc(host.grpcPort, evaluate, [frame(request("sync"))], { authorization: "s3cr\u00e9t" });
    assert.equal(print.mock.callCount(), 0);
    assert.doesNotMatch(host.logs(), /s3cr/);
  });

  it("counts calls by method and code, without a caller's value", async () => {
    const text = await host.metrics.render();
    const series = text.split("\n").filter((line) => line.startsWith("service_requests_total"));
    assert.ok(series.some((line) => line.includes(`method="${evaluate.slice(1)}",code="INVALID_ARGUMENT"`)));
    assert.doesNotMatch(text, /nothing/i);
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}
