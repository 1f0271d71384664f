import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  EvaluateStreamRequestSchema,
  EvaluateStreamResponseSchema,
} from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { streamCodec } from "./stream-codec.ts";
import { outcome, plain, texts, uids } from "./testing/arbitraries.ts";

const text = texts(45);
const uid = uids(text);
const item = fc.record(
  {
    id: text,
    principal: uid,
    action: uid,
    resource: uid,
    timeoutMs: fc.constantFrom(0, 5),
    context: fc.constant({ mfa: true }),
  },
  { requiredKeys: ["id", "principal", "action", "resource"] },
);
const plainItem = fc.record({ id: text, principal: uid, action: uid, resource: uid });
const decision = fc.record({
  decision: fc.constantFrom(0, 1, 2),
  determiningPolicies: fc.array(text, { maxLength: 2 }),
  reason: fc.constantFrom(0, 1, 2, 3, 4),
  errors: fc.array(fc.record({ policyId: text, message: text }), { maxLength: 1 }),
});
const plainDecision = fc.record({
  decision: fc.constantFrom(1, 2),
  determiningPolicies: fc.array(text, { maxLength: 1 }),
  reason: fc.constantFrom(1, 2, 3),
});

const request = (items: object[]): Buffer =>
  Buffer.from(
    toBinary(
      EvaluateStreamRequestSchema,
      create(EvaluateStreamRequestSchema, { frame: { case: "rows", value: { items } } }),
    ),
  );

function assertDecodesAlike(bytes: Buffer): void {
  const expected = outcome(() => fromBinary(EvaluateStreamRequestSchema, bytes));
  assert.deepEqual(plain(outcome(() => streamCodec.decode(bytes))), plain(expected));
}

for (const [name, items] of Object.entries({ any: item, plain: plainItem })) {
  test(`rows of ${name} items decode as protobuf-es decodes them`, () => {
    const lists = fc.array(items, { maxLength: 40 });
    fc.assert(
      fc.property(lists, (list) => assertDecodesAlike(request(list))),
      { numRuns: 1_000 },
    );
  });
}

test("damaged rows decode, or are refused, as by protobuf-es", () => {
  const ascii = { type: "User", id: "alice" };
  const valid = request(
    Array.from({ length: 3 }, (_, n) => ({ id: `${n}`, principal: ascii, action: ascii, resource: ascii })),
  );
  fc.assert(
    fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (at, value, length) => {
      const bytes = Buffer.from(valid);
      bytes[at] = value;
      assertDecodesAlike(bytes);
      assertDecodesAlike(bytes.subarray(0, length));
    }),
    { numRuns: 5_000 },
  );
});

for (const [name, decisions] of Object.entries({ any: decision, plain: plainDecision })) {
  test(`rows of ${name} results encode as protobuf-es encodes them`, () => {
    fc.assert(
      fc.property(fc.array(fc.record({ id: text, value: decisions }), { maxLength: 200 }), text, (list, batchId) => {
        const results = list.map(({ id, value }) => ({ id, result: { case: "decision" as const, value } }));
        const message = create(EvaluateStreamResponseSchema, { frame: { case: "rows", value: { results, batchId } } });
        const hex = (encode: () => Uint8Array): unknown => outcome(() => Buffer.from(encode()).toString("hex"));
        assert.equal(
          hex(() => streamCodec.encode(message)),
          hex(() => toBinary(EvaluateStreamResponseSchema, message)),
        );
      }),
      { numRuns: 1_000 },
    );
  });
}
