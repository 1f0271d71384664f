import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { EvaluateRequestSchema, PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { EvaluateStreamRequestSchema } from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { createReadiness } from "../lifecycle/readiness.ts";
import { createLogger } from "../logger/logger.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { createHost } from "./host.ts";
import { frame } from "./testing/raw-grpc.ts";
import { evaluateRequest, startTestHost, type TestHost } from "./testing/test-host.ts";

const transports: Record<string, (host: TestHost) => Transport> = {
  "the gRPC port": ({ grpcPort }) => createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }),
  "the edge over HTTP/2": ({ httpPort }) =>
    createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "2" }),
  "the edge over HTTP/1.1": ({ httpPort }) =>
    createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "1.1" }),
};

for (const [door, transport] of Object.entries(transports)) {
  describe(`draining ${door}`, () => {
    it("finishes calls in flight, takes no new ones, and is done", async () => {
      const host = await startTestHost({ drainGraceMs: 10_000 });
      const client = createClient(PolicyService, transport(host));
      await client.evaluate(evaluateRequest({ id: "sync" }));
      const inFlight = client.evaluate(evaluateRequest({ id: "slow" }));
      await sleep(50);
      const drained = host.stop();
      assert.equal(host.readiness.ready, false);
      await sleep(20);
      await assert.rejects(createClient(PolicyService, transport(host)).evaluate(evaluateRequest({ id: "sync" })));
      assert.equal((await inFlight).decisionId, "slow");
      await drained;
      // A socket tells that it is closed a turn after its server hears of it.
      await sleep(10);
      assert.match(await host.metrics.render(), /service_active_connections\{service="test"} 0\n/);
    });

    it("ends what does not finish within the grace period", async () => {
      const host = await startTestHost({ drainGraceMs: 100 });
      const client = createClient(PolicyService, transport(host));
      const hanging = assert.rejects(client.evaluate(evaluateRequest({ id: "hang" })));
      await sleep(50);
      await host.stop();
      await hanging;
    });
  });
}

describe("draining a stream", () => {
  it("tells its handler, which ends it in its own way", async () => {
    const host = await startTestHost({ drainGraceMs: 10_000 });
    const client = createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${host.grpcPort}` }));
    async function* requests(): AsyncGenerator<ReturnType<typeof columns>> {
      yield columns();
      await sleep(60_000, undefined, { ref: false });
    }
    const answers = client.evaluateStream(requests())[Symbol.asyncIterator]();
    assert.equal((await answers.next()).value?.frame.case, "columns");
    const drained = host.stop();
    await assert.rejects(
      answers.next(),
      (error) => error instanceof ConnectError && error.code === Code.Unavailable && error.rawMessage === "Going away.",
    );
    await drained;
  });
});

for (const door of ["grpcPort", "httpPort"] as const) {
  it(`asks a connection of age to go, and lets its calls finish (${door})`, async () => {
    const host = await startTestHost({ maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 5_000 });
    const session = connect(`http://127.0.0.1:${host[door]}`);
    const slow = session.request({
      ":method": "POST",
      ":path": "/gatehouse.policy.v1.PolicyService/Evaluate",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const request = create(EvaluateRequestSchema, evaluateRequest({ id: "slow" }));
    slow.end(frame(toBinary(EvaluateRequestSchema, request)));
    const finished = once(slow.resume(), "trailers");
    const closed = once(session, "close");
    await once(session, "goaway");
    const [trailers] = await finished;
    assert.equal(trailers["grpc-status"], "0");
    await closed;
    await host.stop();
  });
}

describe("starting", () => {
  it("names the port that is in use and the variable to change, and keeps neither port", async () => {
    const squatter = createServer().listen(0, "127.0.0.1");
    await once(squatter, "listening");
    const { port } = squatter.address() as AddressInfo;
    const host = createHost({
      grpc: { host: "127.0.0.1", port: 0, env: "TEST_GRPC_PORT" },
      http: { host: "127.0.0.1", port, env: "TEST_HTTP_PORT" },
      services: [],
      readiness: createReadiness(),
      logger: createLogger({ service: "test", level: "silent" }),
      metrics: createMetrics({ service: "test", process: false }),
    });
    await assert.rejects(host.start(), {
      name: "ListenError",
      message: `HTTP port 127.0.0.1:${port} is already in use; set TEST_HTTP_PORT to another port`,
    });
    squatter.close();
  });
});

function columns(): ReturnType<typeof create<typeof EvaluateStreamRequestSchema>> {
  return create(EvaluateStreamRequestSchema, { frame: { case: "columns", value: { frameId: 1, resources: [0] } } });
}
