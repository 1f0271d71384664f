import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { HeaderValueOption_HeaderAppendAction as Append } from "../../gen/envoy/config/core/v3/base_pb.ts";
import { type CheckResponse, CheckResponseSchema } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { Verdict } from "./check/checker.ts";
import { parseMapping } from "./check/mapping-file.ts";
import { type RequestFields, requestOf } from "./check/testing/request.ts";
import { checkResponse } from "./check-response.ts";

function settings(strip: object = {}) {
  const credentials = { sessionCookie: "session" };
  return parseMapping(JSON.stringify({ version: 1, credentials, strip, rules: [] }), "mapping.json").settings;
}

function answer(verdict: Verdict, request: RequestFields = {}, strip: object = {}): CheckResponse {
  return create(CheckResponseSchema, checkResponse(verdict, requestOf(request), settings(strip)));
}

function allowed(id = "alice", more: Partial<Extract<Verdict, { kind: "allowed" }>> = {}): Verdict {
  const principal = { type: "User", id, roles: ["editor", "a,b"], attributes: {} } as const;
  const decision = { allowed: true, determiningPolicies: ["p"], revision: "1-a", decisionId: "d-1" };
  return {
    kind: "allowed",
    rule: "docs",
    authentication: { principal, amr: [] },
    authorization: { principal, decision, stepUp: [] },
    found: { kind: "credential", credential: { kind: "bearerToken", token: "a" }, header: "authorization" },
    ...more,
  };
}

/** Headers set and removed on a request that is let through. */
function changes(response: CheckResponse): { set: Record<string, string>; removed: readonly string[] } {
  assert.equal(response.httpResponse.case, "okResponse");
  const { headers, headersToRemove } = response.httpResponse.value as Extract<
    CheckResponse["httpResponse"],
    { case: "okResponse" }
  >["value"];
  for (const { appendAction } of headers) assert.equal(appendAction, Append.OVERWRITE_IF_EXISTS_OR_ADD);
  return {
    set: Object.fromEntries(headers.map(({ header }) => [header?.key, header?.value])),
    removed: headersToRemove,
  };
}

test("inbound copies of identity headers are overwritten or removed, in any spelling", () => {
  const headers = {
    "x-gatehouse-principal": "a",
    "x-gatehouse-new": "b",
    x_gatehouse_roles: "c",
    user_id: "d",
    "user-id": "e",
    "x-other": "f",
    "x-http-method-override": "PUT",
  };
  for (const [verdict, names] of [
    [allowed(), ["user-id", "x-gatehouse-decision-id", "x-gatehouse-principal", "x-gatehouse-roles"]],
    [{ kind: "public", rule: "open" }, []],
  ] as const) {
    const { set, removed } = changes(answer(verdict, { headers }));
    assert.deepEqual(Object.keys(set).sort(), names);
    for (const name of Object.keys(headers)) {
      assert.equal(removed.includes(name), !names.includes(name as never) && name !== "x-other", name);
    }
    for (const name of ["x-gatehouse-session", "x-gatehouse-principal"])
      assert.ok(name in set || removed.includes(name), name);
  }
});

test("identity headers can hold any id, and hold nothing but visible ASCII", () => {
  const { set } = changes(answer(allowed('zoë "x"\\\r\nx-admin: 1')));
  assert.equal(set["x-gatehouse-principal"], 'User::"zo\\u{eb} \\"x\\"\\\\\\u{d}\\u{a}x-admin: 1"');
  assert.equal(set["user-id"], "zo%C3%AB%20%22x%22%5C%0D%0Ax-admin%3A%201");
  assert.equal(set["x-gatehouse-roles"], "editor,a%2Cb");
  for (const value of Object.values(set)) assert.match(value, /^[\x20-\x7e]+$/);
});

test("the credential goes on, unless it is to be stripped, and other cookies always do", () => {
  assert.ok(!changes(answer(allowed())).removed.includes("authorization"));
  assert.ok(changes(answer(allowed(), {}, { credential: true })).removed.includes("authorization"));
  const credential = { kind: "bearerToken", token: "a" } as const;
  const verdict = allowed("alice", { found: { kind: "credential", credential, header: "cookie" } });
  const cookie = (text: string) => changes(answer(verdict, { headers: { cookie: text } }, { credential: true }));
  assert.equal(cookie("x=1; session=a;y=2").set.cookie, "x=1; y=2");
  assert.ok(cookie("session=a").removed.includes("cookie"));
});

test("a JWT that was accepted is set apart for the filters that verify JWTs, and nothing else is", () => {
  const jwt = (token: string) => {
    const found = { kind: "credential", credential: { kind: "bearerToken", token }, header: "authorization" } as const;
    return changes(answer(allowed("alice", { found })));
  };
  assert.equal(jwt("eyJh.eyJz.c2ln").set["x-gatehouse-jwt"], "eyJh.eyJz.c2ln");
  assert.ok(jwt("opaque").removed.includes("x-gatehouse-jwt"));
});

test("only the verdicts that permit make an OK", () => {
  const denied = { ...allowed(), kind: "denied" } as Verdict;
  const verdicts: Verdict[] = [
    denied,
    { kind: "unauthenticated", rule: "r", presented: false },
    { kind: "unmapped" },
    { kind: "malformed" },
    { kind: "unavailable", cause: new Error("secret") },
  ];
  const seen = verdicts.map((verdict) => {
    const response = answer(verdict);
    assert.equal(response.httpResponse.case, "deniedResponse");
    const { status, body } = response.httpResponse.value as Extract<
      CheckResponse["httpResponse"],
      { case: "deniedResponse" }
    >["value"];
    assert.doesNotMatch(JSON.stringify(response), /secret/);
    return [status?.code, response.status?.code, JSON.parse(body).code];
  });
  assert.deepEqual(seen, [
    [403, 7, "permission_denied"],
    [401, 16, "unauthenticated"],
    [403, 7, "permission_denied"],
    [400, 3, "invalid_argument"],
    [503, 14, "unavailable"],
  ]);
});

test("a denial tells which step would lift it, to HTTP and to gRPC", () => {
  const verdict = allowed();
  assert.ok(verdict.kind === "allowed");
  const denied: Verdict = { kind: "denied", rule: "r", authorization: { ...verdict.authorization, stepUp: ["mfa"] } };
  for (const [contentType, body] of [
    ["text/plain", /"stepUp":\["mfa"\]/],
    ["application/grpc+proto", /^This is not permitted\.$/],
  ] as const) {
    const { httpResponse } = answer(denied, { headers: { "content-type": contentType } });
    assert.ok(httpResponse.case === "deniedResponse");
    assert.match(httpResponse.value.body, body);
    const headers = Object.fromEntries(httpResponse.value.headers.map(({ header }) => [header?.key, header?.value]));
    assert.equal(headers["x-gatehouse-step-up"], "mfa");
    assert.equal(headers["grpc-status"], contentType === "text/plain" ? undefined : "7");
  }
});
