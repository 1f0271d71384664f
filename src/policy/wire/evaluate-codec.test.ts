import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { EvaluateRequestSchema, EvaluateResponseSchema } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { evaluateCodec } from "./evaluate-codec.ts";
import { outcome, plain, texts, uids } from "./testing/arbitraries.ts";

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const text = texts(200);
const uid = uids(text);
const request = fc.record(
  {
    principal: uid,
    action: uid,
    resource: uid,
    revision: text,
    explain: fc.boolean(),
    context: fc.constant({ mfa: true }),
  },
  { requiredKeys: [] },
);
const response = fc.record({
  decision: fc.constantFrom(0, 1, 2),
  determiningPolicies: fc.array(text, { maxLength: 70 }),
  errors: fc.array(fc.record({ policyId: text, message: text }), { maxLength: 1 }),
  revision: text,
  decisionId: text,
  reason: fc.constantFrom(0, 1, 2, 3, 4),
});

test("requests decode as protobuf-es decodes them", () => {
  fc.assert(
    fc.property(request, (init) => {
      const bytes = buffer(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, init)));
      assert.deepEqual(plain(evaluateCodec.decode(bytes)), plain(fromBinary(EvaluateRequestSchema, bytes)));
    }),
    { numRuns: 2_000 },
  );
});

test("damaged requests decode, or are refused, as by protobuf-es", () => {
  const request = {
    principal: { type: "User", id: "a" },
    action: { type: "A", id: "b" },
    resource: { type: "D", id: "c" },
  };
  const valid = buffer(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, request)));
  fc.assert(
    fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (at, value, length) => {
      const bytes = Buffer.from(valid);
      bytes[at] = value;
      for (const damaged of [bytes, bytes.subarray(0, length), Buffer.concat([bytes, valid.subarray(0, length)])]) {
        const mine = outcome(() => plain(evaluateCodec.decode(damaged)));
        assert.deepEqual(
          mine,
          outcome(() => plain(fromBinary(EvaluateRequestSchema, damaged))),
        );
      }
    }),
    { numRuns: 5_000 },
  );
});

test("answers encode as protobuf-es encodes them", () => {
  fc.assert(
    fc.property(response, (init) => {
      const message = create(EvaluateResponseSchema, init);
      const expected = outcome(() => Buffer.from(toBinary(EvaluateResponseSchema, message)).toString("hex"));
      assert.equal(
        outcome(() => Buffer.from(evaluateCodec.encode(message)).toString("hex")),
        expected,
      );
    }),
    { numRuns: 2_000 },
  );
});
