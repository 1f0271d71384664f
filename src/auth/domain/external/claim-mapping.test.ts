import assert from "node:assert/strict";
import { test } from "node:test";
import type { JWTPayload } from "jose";
import { type ClaimMapping, createClaimMapper } from "./claim-mapping.ts";

const issuer = "https://login.example.com";
const subject: ClaimMapping = { type: "User", idPrefix: "", id: ["sub"] };
const rolesOf = (claims: JWTPayload, roles: Partial<NonNullable<ClaimMapping["roles"]>> = {}) => {
  const mapping = { ...subject, roles: { claim: ["groups"], prefix: "", names: new Map(), ...roles } };
  return createClaimMapper(issuer, mapping)({ sub: "carol", ...claims })?.identity.roles;
};

test("without a mapping of roles and attributes, a token says who and no more", () => {
  assert.deepEqual(createClaimMapper(issuer, subject)({ sub: "carol", groups: ["a"], amr: ["mfa"] }), {
    type: "User",
    id: "carol",
    amr: [],
    identity: { issuer },
  });
});

test("the roles of Gatehouse itself are given by an entry alone", () => {
  const names = new Map([["ops", "gatehouse-admin"]]);
  assert.deepEqual(rolesOf({ groups: ["gatehouse-admin", "Gatehouse-Viewer", "docs"] }), ["docs"]);
  assert.deepEqual(rolesOf({ groups: ["admin"] }, { prefix: "gatehouse-" }), []);
  assert.deepEqual(rolesOf({ groups: ["ops", "docs", "ops"] }, { prefix: "corp-", names }), [
    "gatehouse-admin",
    "corp-docs",
  ]);
});

test("what is too much to be kept whole refuses the token", () => {
  const groups = (count: number, length: number) =>
    Array.from({ length: count }, (_, n) => String(n).padEnd(length, "x"));
  assert.equal(rolesOf({ groups: groups(64, 60) })?.length, 64);
  assert.equal(rolesOf({ groups: groups(65, 10) }), undefined);
  assert.equal(rolesOf({ groups: groups(64, 64) }), undefined);
});

test("roles come as a list or as words", () => {
  assert.deepEqual(rolesOf({ groups: "read  write" }), ["read", "write"]);
  assert.deepEqual(rolesOf({ groups: ["read", 7, null, "", ["x"]] }), ["read"]);
  for (const groups of [undefined, null, 7, {}, []]) assert.deepEqual(rolesOf({ groups }), []);
});

test("a claim is found inside of others, by own names only", () => {
  const claim = ["realm_access", "roles"];
  assert.deepEqual(rolesOf({ realm_access: { roles: ["a"] } }, { claim }), ["a"]);
  for (const realm_access of [null, "roles", ["a"], {}]) assert.deepEqual(rolesOf({ realm_access }, { claim }), []);
  assert.deepEqual(rolesOf({}, { claim: ["constructor", "name"] }), []);
});

test("attributes are those that Cedar can hold", () => {
  const names = ["text", "number", "list", "fraction", "nothing", "nested"];
  const attributes = new Map(names.map((name) => [name, [name]]));
  const claims = {
    sub: "carol",
    text: "a",
    number: 7,
    list: ["a", 1],
    fraction: 1.5,
    nothing: null,
    nested: { a: null },
  };
  const mapped = createClaimMapper(issuer, { ...subject, attributes })(claims);
  assert.deepEqual(mapped?.identity.attributes, { text: "a", number: 7, list: ["a", 1] });
});

for (const [name, claims] of Object.entries({
  "no id": {},
  "an empty id": { sub: "" },
  "an id that is a number": { sub: 7 as unknown as string },
  "an id with a line break": { sub: "carol\n" },
  "an id that is too long": { sub: "x".repeat(513) },
})) {
  test(`a token with ${name} is nobody's`, () => {
    assert.equal(createClaimMapper(issuer, subject)(claims), undefined);
  });
}
