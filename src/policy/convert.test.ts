import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { EvaluateRequestSchema } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { contractValidator } from "../shared/rpc/steps/validation.ts";
import { findViolations } from "./convert.ts";

const uid = (type: string, id: string) => ({ type, id });
const valid: MessageInitShape<typeof EvaluateRequestSchema> = {
  principal: uid("User", "alice"),
  action: uid("Action", "edit"),
  resource: uid("Document", "handbook"),
};
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

/** Requests at, and one beyond, each limit of the contract. */
const requests: Readonly<Record<string, MessageInitShape<typeof EvaluateRequestSchema>>> = {
  valid,
  "nothing at all": {},
  "no resource": { ...valid, resource: undefined as never },
  "an empty type": { ...valid, principal: uid("", "alice") },
  "an empty id": { ...valid, action: uid("Action", "") },
  "a type of 256 bytes": { ...valid, principal: uid("T".repeat(256), "x") },
  "a type of 257 bytes": { ...valid, principal: uid("T".repeat(257), "x") },
  "an id of 1,024 bytes": { ...valid, resource: uid("Document", "é".repeat(512)) },
  "an id of 1,025 bytes": { ...valid, resource: uid("Document", `x${"é".repeat(512)}`) },
  "an id of 1,026 bytes in three-byte characters": { ...valid, resource: uid("Document", "€".repeat(342)) },
  "a revision of 128 bytes": { ...valid, revision: "r".repeat(128) },
  "a revision of 129 bytes": { ...valid, revision: "r".repeat(129) },
  "1,000 entities": { ...valid, entities: many(1_000, { uid: uid("User", "x") }) },
  "1,001 entities": { ...valid, entities: many(1_001, { uid: uid("User", "x") }) },
  "an entity without uid": { ...valid, entities: [{ uid: uid("User", "x") }, {}] },
  "an entity with an empty id": { ...valid, entities: [{ uid: uid("User", "") }] },
  "1,000 parents": { ...valid, entities: [{ uid: uid("User", "x"), parents: many(1_000, uid("Role", "r")) }] },
  "1,001 parents": { ...valid, entities: [{ uid: uid("User", "x"), parents: many(1_001, uid("Role", "r")) }] },
  "a malformed parent": { ...valid, entities: [{ uid: uid("User", "x"), parents: [uid("Role", "r"), uid("", "r")] }] },
};

for (const [name, init] of Object.entries(requests)) {
  test(`the hand-written checks find what the contract's annotations find: ${name}`, () => {
    const request = create(EvaluateRequestSchema, init);
    const fields = (violations: readonly { readonly field: string }[]): string[] =>
      violations.map(({ field }) => field).sort();
    assert.deepEqual(fields(findViolations(request)), fields(contractValidator(EvaluateRequestSchema)(request)));
  });
}

test("a lone surrogate is a violation", () => {
  const request = create(EvaluateRequestSchema, { ...valid, principal: uid("User", "\ud800") });
  assert.deepEqual(findViolations(request), [
    { field: "principal.id", description: "must be well-formed Unicode, without lone surrogates" },
  ]);
});
