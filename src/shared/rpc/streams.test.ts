import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { PolicyAdminService } from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import {
  type EvaluateStreamRequest,
  EvaluateStreamRequestSchema,
  EvaluateStreamResponseSchema,
} from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { frame } from "./testing/raw-grpc.ts";
import { startTestHost, type TestHost } from "./testing/test-host.ts";

const evaluateStream = "/gatehouse.policy.v1.PolicyService/EvaluateStream";

function columns(frameId: number, items: number): EvaluateStreamRequest {
  const resources = new Array<number>(items).fill(0);
  return create(EvaluateStreamRequestSchema, { frame: { case: "columns", value: { frameId, resources } } });
}

const doors: Record<string, (host: TestHost) => ReturnType<typeof createGrpcTransport>> = {
  "the gRPC port": ({ grpcPort }) => createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }),
  "Connect on the edge": ({ httpPort }) =>
    createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "2" }),
};

for (const [door, transport] of Object.entries(doors)) {
  describe(`a stream through ${door}`, () => {
    let host: TestHost;
    let client: Client<typeof PolicyService>;
    let admin: Client<typeof PolicyAdminService>;
    before(async () => {
      host = await startTestHost();
      client = createClient(PolicyService, transport(host));
      admin = createClient(PolicyAdminService, transport(host));
    });
    after(() => host.stop());

    it("carries frames both ways, in order, and ends when the caller does", async () => {
      const ids: number[] = [];
      async function* requests(): AsyncGenerator<EvaluateStreamRequest> {
        for (let id = 1; id <= 1_000; id += 1) yield columns(id, 100);
      }
      for await (const { frame: answer } of client.evaluateStream(requests())) {
        assert.ok(answer.case === "columns");
        assert.equal(answer.value.decisions.length, 100);
        ids.push(answer.value.frameId);
      }
      assert.deepEqual(ids, [...Array(1_001).keys()].slice(1));
    });

    it("ends with the handler's error", async () => {
      async function* requests(): AsyncGenerator<EvaluateStreamRequest> {
        yield create(EvaluateStreamRequestSchema, { frame: { case: "open", value: {} } });
        await sleep(10_000, undefined, { ref: false });
      }
      await assert.rejects(
        async () => {
          for await (const _ of client.evaluateStream(requests())) assert.fail("answered");
        },
        (error) => error instanceof ConnectError && error.code === Code.InvalidArgument,
      );
    });

    it("tells the handler when the caller is gone", async () => {
      const caller = new AbortController();
      const answers = admin.watchRevisions({}, { signal: caller.signal })[Symbol.asyncIterator]();
      assert.equal((await answers.next()).value?.entityRevision, 1n);
      const signal = host.seen.at(-1)!.signal;
      assert.equal(signal.aborted, false);
      caller.abort();
      await assert.rejects(answers.next());
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });

    it("streams answers to one request until the deadline", async () => {
      const seen: bigint[] = [];
      await assert.rejects(
        async () => {
          for await (const { entityRevision } of admin.watchRevisions({}, { timeoutMs: 100 }))
            seen.push(entityRevision);
        },
        (error) => error instanceof ConnectError && error.code === Code.DeadlineExceeded,
      );
      assert.deepEqual(seen, [1n, 2n, 3n]);
    });
  });
}

describe("many streams", () => {
  it("live on one connection, a thousand at once", async () => {
    const host = await startTestHost();
    const session = connect(`http://127.0.0.1:${host.grpcPort}`, { settings: { initialWindowSize: 1 << 20 } });
    const request = frame(toBinary(EvaluateStreamRequestSchema, columns(7, 10)));
    const streams = Array.from({ length: 1_000 }, () => {
      const stream = session.request({
        ":method": "POST",
        ":path": evaluateStream,
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.write(request);
      return stream;
    });
    const answers = await Promise.all(
      streams.map((stream) => new Promise<Buffer>((resolve) => stream.once("data", resolve))),
    );
    for (const answer of answers) {
      const { frame: result } = fromBinary(EvaluateStreamResponseSchema, answer.subarray(5));
      assert.ok(result.case === "columns");
      assert.equal(result.value.frameId, 7);
    }
    const statuses = await Promise.all(
      streams.map(
        (stream) =>
          new Promise((resolve) => {
            stream.on("trailers", (trailers) => resolve(trailers["grpc-status"]));
            stream.resume().end();
          }),
      ),
    );
    assert.deepEqual(new Set(statuses), new Set(["0"]));
    session.destroy();
    await host.stop();
  });
});

for (const door of ["grpcPort", "httpPort"] as const) {
  it(`does not read from a peer that does not read (${door})`, async () => {
    const host = await startTestHost();
    const session = connect(`http://127.0.0.1:${host[door]}`);
    const stream = session.request({
      ":method": "POST",
      ":path": evaluateStream,
      "content-type": "application/grpc",
      te: "trailers",
    });
    // Answers take as many bytes as requests. The peer reads none, so at most flow control's windows and the host's own
    // queue fill; then writing must come to a halt.
    const chunk = frame(toBinary(EvaluateStreamRequestSchema, columns(1, 10_000)));
    let sent = 0;
    let halted = false;
    while (!halted && sent < 100_000_000) {
      const written = new Promise<boolean>((resolve) => stream.write(chunk, () => resolve(true)));
      sent += chunk.length;
      halted = !(await Promise.race([written, sleep(1_000, false)]));
    }
    assert.ok(halted, `${sent} bytes went in without one being read`);
    assert.ok(sent < 4_000_000, `${sent} bytes were taken`);

    // Reading on, everything comes back.
    let received = 0;
    stream.on("data", (data: Buffer) => (received += data.length));
    stream.end();
    const status = await new Promise((resolve) =>
      stream.on("trailers", (trailers) => resolve(trailers["grpc-status"])),
    );
    assert.equal(status, "0");
    assert.ok(received >= sent - chunk.length);
    session.destroy();
    await host.stop();
  });
}
