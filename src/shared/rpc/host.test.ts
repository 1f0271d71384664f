import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Decision } from "../../../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { evaluateRequest, startTestHost, type TestHost } from "./testing/test-host.ts";

/** Every way in which a client may come: the gRPC port, and the HTTP edge by protocol and HTTP version. */
const ways: Record<string, (host: TestHost) => Client<typeof PolicyService>> = {
  "gRPC on the gRPC port": ({ grpcPort }) =>
    createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` })),
  "gRPC on the edge": ({ httpPort }) =>
    createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${httpPort}` })),
  ...Object.fromEntries(
    (["1.1", "2"] as const).flatMap((httpVersion) =>
      [true, false].flatMap((useBinaryFormat) => {
        const options = (host: TestHost) =>
          ({ baseUrl: `http://127.0.0.1:${host.httpPort}`, httpVersion, useBinaryFormat }) as const;
        const how = `over HTTP/${httpVersion} in ${useBinaryFormat ? "binary" : "JSON"}`;
        return [
          [`Connect ${how}`, (host: TestHost) => createClient(PolicyService, createConnectTransport(options(host)))],
          [`gRPC-Web ${how}`, (host: TestHost) => createClient(PolicyService, createGrpcWebTransport(options(host)))],
        ] as const;
      }),
    ),
  ),
};

for (const [way, connect] of Object.entries(ways)) {
  describe(way, () => {
    let host: TestHost;
    let client: Client<typeof PolicyService>;
    before(async () => {
      host = await startTestHost();
      client = connect(host);
    });
    after(() => host.stop());

    it("answers a handler that returns a value", async () => {
      const answer = await client.evaluate(evaluateRequest({ id: "sync" }));
      assert.equal(answer.decision, Decision.ALLOW);
      assert.equal(answer.decisionId, "sync");
    });

    it("answers a handler that returns a promise", async () => {
      assert.equal((await client.evaluate(evaluateRequest({ id: "async" }))).decisionId, "async");
    });

    it("refuses with the handler's error and its details", async () => {
      const error = await failure(client.evaluate(evaluateRequest({ id: "refuse" })));
      assert.equal(error.code, Code.PermissionDenied);
      assert.equal(error.rawMessage, "Not you.");
      const [info] = error.findDetails(ErrorInfoSchema);
      assert.deepEqual([info?.reason, info?.domain], ["NOT_YOU", "gatehouse"]);
    });

    it("says nothing of an error that is not meant for the caller", async () => {
      for (const id of ["throw", "reject"]) {
        const error = await failure(client.evaluate(evaluateRequest({ id })));
        assert.equal(error.code, Code.Internal);
        assert.equal(error.rawMessage, "An internal error occurred.");
        assert.doesNotMatch(JSON.stringify(error.details), /secret/);
      }
      assert.match(host.logs(), /secret of the database/);
    });

    it("names the fields of an invalid request", async () => {
      const error = await failure(client.evaluate({ principal: { type: "User", id: "" } }));
      assert.equal(error.code, Code.InvalidArgument);
      const fields = error.findDetails(BadRequestSchema)[0]?.fieldViolations.map((violation) => violation.field);
      assert.deepEqual(fields, ["principal.id", "action", "resource"]);
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "INVALID_REQUEST");
    });

    it("ends a call at its deadline", async () => {
      const error = await failure(client.evaluate(evaluateRequest({ id: "hang" }), { timeoutMs: 50 }));
      assert.equal(error.code, Code.DeadlineExceeded);
    });

    it("refuses a message over the limit, and serves the next", async () => {
      const error = await failure(
        client.evaluate(evaluateRequest({ id: "sync", context: { big: "x".repeat(2_000_000) } })),
      );
      assert.equal(error.code, Code.ResourceExhausted);
      assert.equal((await client.evaluate(evaluateRequest({ id: "sync" }))).decisionId, "sync");
    });
  });
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ConnectError);
    return error;
  }
  return assert.fail("the call went well");
}
