import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { CheckRequestSchema } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { CheckedRequest } from "./check/request.ts";
import { checkedRequest } from "./check-request.ts";

/** The request as it is after the wire. */
function received(init: MessageInitShape<typeof CheckRequestSchema>): CheckedRequest {
  const bytes = toBinary(CheckRequestSchema, create(CheckRequestSchema, init));
  return checkedRequest(fromBinary(CheckRequestSchema, bytes));
}

test("what Envoy leaves out is empty", () => {
  const { header, headerNames, ...fields } = received({});
  assert.deepEqual(new Set(Object.values(fields)), new Set([""]));
  assert.deepEqual([header("authorization"), headerNames], [undefined, []]);
});

test("headers are found by name and nothing else is", () => {
  const headers = { cookie: "a=1", constructor: "x", hasownproperty: "y" };
  const { header, headerNames } = received({ attributes: { request: { http: { headers } } } });
  assert.deepEqual(headerNames.toSorted(), ["constructor", "cookie", "hasownproperty"]);
  assert.deepEqual([header("cookie"), header("toString"), header("__proto__")], ["a=1", undefined, undefined]);
});

test("raw headers are joined where they repeat", () => {
  const rawHeader = (key: string, text: string) => ({ key, rawValue: Buffer.from(text) });
  const headers = [rawHeader("authorization", "Bearer a"), rawHeader("authorization", "Bearer b"), rawHeader("x", "é")];
  const { header } = received({ attributes: { request: { http: { headerMap: { headers } } } } });
  assert.deepEqual([header("authorization"), header("x")], ["Bearer a,Bearer b", "é"]);
});

test("source and destination are those that the proxy names", () => {
  const address = (text: string) => ({
    address: {
      case: "socketAddress" as const,
      value: { address: text, portSpecifier: { case: "portValue" as const, value: 1 } },
    },
  });
  const request = received({
    attributes: {
      source: { principal: "spiffe://a/b", address: address("10.0.0.7") },
      destination: { principal: "spiffe://a/c", address: address("10.0.0.8") },
    },
  });
  const { sourcePrincipal, sourceAddress, destinationPrincipal } = request;
  assert.deepEqual(
    [sourcePrincipal, sourceAddress, destinationPrincipal],
    ["spiffe://a/b", "10.0.0.7", "spiffe://a/c"],
  );
});
