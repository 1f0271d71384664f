import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../gen/grpc/health/v1/health_pb.ts";
import { startTestHost, type TestHost } from "./testing/test-host.ts";

const policyService = "gatehouse.policy.v1.PolicyService";

for (const door of ["grpcPort", "httpPort"] as const) {
  describe(`grpc.health.v1 (${door})`, () => {
    let host: TestHost;
    let client: Client<typeof Health>;
    before(async () => {
      host = await startTestHost();
      client = createClient(Health, createGrpcTransport({ baseUrl: `http://127.0.0.1:${host[door]}` }));
    });
    after(() => host.stop());

    it("tells of the server and of each service", async () => {
      for (const service of ["", policyService]) {
        assert.equal((await client.check({ service })).status, Status.SERVING);
        host.check.set(false);
        assert.equal((await client.check({ service })).status, Status.NOT_SERVING);
        host.check.set(true);
      }
      assert.equal((await client.list({})).statuses[policyService]?.status, Status.SERVING);
    });

    it("knows no other service", async () => {
      await assert.rejects(
        client.check({ service: "nothing.Nothing" }),
        (error) => error instanceof ConnectError && error.code === Code.NotFound,
      );
      const caller = new AbortController();
      const watch = client.watch({ service: "nothing.Nothing" }, { signal: caller.signal })[Symbol.asyncIterator]();
      assert.equal((await watch.next()).value?.status, Status.SERVICE_UNKNOWN);
      caller.abort();
      await assert.rejects(watch.next());
    });

    it("streams each change, and the end of it all", async () => {
      const watch = client.watch({ service: policyService })[Symbol.asyncIterator]();
      const next = async (): Promise<Status | undefined> => (await watch.next()).value?.status;
      assert.equal(await next(), Status.SERVING);
      host.check.set(false);
      assert.equal(await next(), Status.NOT_SERVING);
      host.check.set(true);
      assert.equal(await next(), Status.SERVING);
      const stopped = host.stop();
      assert.equal(await next(), Status.NOT_SERVING);
      await assert.rejects(watch.next(), (error) => error instanceof ConnectError && error.code === Code.Unavailable);
      await stopped;
    });
  });
}
