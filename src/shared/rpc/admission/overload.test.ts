import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { EvaluateRequestSchema, PolicyService } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { EvaluateStreamRequestSchema } from "../../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { statusCodes } from "../../service-error.ts";
import type { HostLimits } from "../limits.ts";
import { frame, rawGrpc } from "../testing/raw-grpc.ts";
import { evaluateRequest, startTestHost, type TestHost } from "../testing/test-host.ts";

const doors: Record<string, (host: TestHost) => Transport> = {
  "the gRPC port": ({ grpcPort }) => createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }),
  "the edge": ({ httpPort }) => createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "2" }),
};

let host: TestHost;
afterEach(() => host.stop());

async function start(limits: Partial<HostLimits>): Promise<Client<typeof PolicyService>> {
  host = await startTestHost(limits);
  return createClient(PolicyService, doors["the gRPC port"]!(host));
}

/** Takes one place until the answered function is called. */
async function takePlace(client: Client<typeof PolicyService>): Promise<() => void> {
  const seenBefore = host.seen.length;
  const controller = new AbortController();
  client.evaluate(evaluateRequest({ id: "hang" }), { signal: controller.signal }).catch(() => undefined);
  await until(async () => host.seen.length > seenBefore);
  return () => controller.abort();
}

function columns(): MessageShape<typeof EvaluateStreamRequestSchema> {
  return create(EvaluateStreamRequestSchema, { frame: { case: "columns", value: { frameId: 1, resources: [0] } } });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}

async function metric(series: string): Promise<number> {
  const text = await host.metrics.render();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  assert.ok(line !== undefined, `${series} is not exported`);
  return Number(line.slice(series.length + 1));
}

const shed = (cause: string): Promise<number> => metric(`service_calls_shed_total{cause="${cause}",service="test"}`);
const expired = (): Promise<number> => metric('service_calls_expired_total{service="test"}');
const queued = (): Promise<number> => metric('service_calls_queued{service="test"}');

function assertOverloaded(error: unknown): true {
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.ResourceExhausted);
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual([info?.reason, info?.domain], ["OVERLOADED", "gatehouse"]);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  assert.ok(delay !== undefined && delay.seconds * 1_000_000_000n + BigInt(delay.nanos) > 0n);
  return true;
}

describe("a host with more work than it can do", () => {
  it("refuses some with the time to wait, answers others, and all again once it is over", async () => {
    const client = await start({ targetDelayMs: 10, overloadIntervalMs: 50 });
    const calls = Array.from({ length: 300 }, () => client.evaluate(evaluateRequest({ id: "busy" })));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.ok(refused.length > 0 && refused.length < outcomes.length, `refused ${refused.length}`);
    for (const { reason } of refused) assertOverloaded(reason);
    assert.equal(await shed("queue_delay"), refused.length);
    assert.equal(host.seen.length, outcomes.length - refused.length);
    assert.equal(await metric('service_calls_in_flight{service="test"}'), 0);
    assert.ok((await metric('service_queue_delay_seconds{service="test"}')) > 0.01);
    assert.match(
      await host.metrics.render(),
      new RegExp(
        `service_requests_total\\{method="[^"]+/Evaluate",code="RESOURCE_EXHAUSTED",service="test"} ${refused.length}\n`,
      ),
    );
    assert.equal((await client.evaluate(evaluateRequest({ id: "sync" }))).decisionId, "sync");
  });

  it("says so in the log, once", async () => {
    const client = await start({ targetDelayMs: 10, overloadIntervalMs: 50 });
    await Promise.allSettled(Array.from({ length: 300 }, () => client.evaluate(evaluateRequest({ id: "busy" }))));
    await until(async () => host.logs().includes("no longer overloaded"));
    assert.equal(host.logs().match(/calls are being refused/g)?.length, 1);
  });
});

describe("a host all of whose places are taken", () => {
  it("lets some calls wait, refuses the others, and begins those that wait when there is room", async () => {
    const client = await start({ maxInFlight: 1, maxQueued: 2, overloadIntervalMs: 60_000 });
    const release = await takePlace(client);
    const waiting = [
      client.evaluate(evaluateRequest({ id: "sync" })),
      client.evaluate(evaluateRequest({ id: "async" })),
    ];
    await until(async () => (await queued()) === 2);
    await assert.rejects(client.evaluate(evaluateRequest({ id: "sync" })), assertOverloaded);
    assert.equal(await shed("queue_full"), 1);
    assert.equal(await metric('service_calls_in_flight{service="test"}'), 1);
    release();
    assert.deepEqual((await Promise.all(waiting)).map((answer) => answer.decisionId).sort(), ["async", "sync"]);
    assert.equal(await queued(), 0);
  });

  it("refuses what has waited too long, though no place becomes free", async () => {
    const client = await start({ maxInFlight: 1, overloadIntervalMs: 30 });
    await takePlace(client);
    await assert.rejects(client.evaluate(evaluateRequest({ id: "sync" })), assertOverloaded);
    assert.equal(await shed("queue_delay"), 1);
  });

  it("does not begin work whose deadline has passed", async () => {
    const client = await start({ maxInFlight: 1, overloadIntervalMs: 60_000 });
    const release = await takePlace(client);
    const body = toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, evaluateRequest({ id: "sync" })));
    const path = "/gatehouse.policy.v1.PolicyService/Evaluate";
    const late = rawGrpc(host.grpcPort, path, [frame(body)], { "grpc-timeout": "20m" });
    await until(async () => (await queued()) === 1);
    await sleep(40);
    release();
    const answer = await late;
    assert.deepEqual([answer.status, answer.reason], [statusCodes.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"]);
    assert.equal(await expired(), 1);
    assert.deepEqual(host.seen.length, 1);
  });

  it("does not begin work whose caller is gone", async () => {
    const client = await start({ maxInFlight: 1, overloadIntervalMs: 60_000 });
    const release = await takePlace(client);
    const controller = new AbortController();
    const gone = client.evaluate(evaluateRequest({ id: "sync" }), { signal: controller.signal });
    await until(async () => (await queued()) === 1);
    controller.abort();
    await assert.rejects(gone);
    // The same connection carries it in order behind the reset.
    await createClient(Health, doors["the gRPC port"]!(host)).check({});
    release();
    await until(async () => (await queued()) === 0);
    assert.equal((await client.evaluate(evaluateRequest({ id: "async" }))).decisionId, "async");
    assert.equal(await expired(), 1);
    assert.deepEqual(host.seen.length, 2);
  });

  it("takes the time that a call waited from its deadline", async () => {
    const client = await start({ maxInFlight: 1, overloadIntervalMs: 60_000 });
    const release = await takePlace(client);
    const sentAt = Date.now();
    const waiting = client.evaluate(evaluateRequest({ id: "sync" }), { timeoutMs: 5_000 });
    await until(async () => (await queued()) === 1);
    await sleep(100);
    const arrivedBy = Date.now() - 100;
    release();
    await waiting;
    const deadline = host.seen.at(-1)?.deadline ?? Number.NaN;
    assert.ok(deadline >= sentAt + 4_900 && deadline <= arrivedBy + 5_010, `${deadline - sentAt} ms`);
  });

  it("refuses new streams, and those that are open go on", async () => {
    const client = await start({ maxInFlight: 1 });
    const later = Promise.withResolvers<void>();
    async function* requests(): AsyncGenerator<MessageShape<typeof EvaluateStreamRequestSchema>> {
      yield columns();
      await later.promise;
      yield columns();
    }
    const open = client.evaluateStream(requests())[Symbol.asyncIterator]();
    assert.equal((await open.next()).value?.frame.case, "columns");
    await takePlace(client);
    await assert.rejects(client.evaluateStream(requests())[Symbol.asyncIterator]().next(), assertOverloaded);
    later.resolve();
    assert.equal((await open.next()).value?.frame.case, "columns");
  });

  for (const [door, transport] of Object.entries(doors)) {
    it(`answers health, readiness and reflection (${door})`, async () => {
      const client = await start({ maxInFlight: 1, maxQueued: 1 });
      await takePlace(client);
      await assert.rejects(
        createClient(PolicyService, doors["the edge"]!(host)).evaluate(evaluateRequest({ id: "sync" })),
        assertOverloaded,
      );
      const { status } = await createClient(Health, transport(host)).check({});
      assert.equal(status, HealthCheckResponse_ServingStatus.SERVING);
      assert.equal((await fetch(`http://127.0.0.1:${host.httpPort}/readyz`)).status, 200);
    });
  }
});
