import assert from "node:assert/strict";
import { test } from "node:test";
import { type CredentialPlaces, type FoundCredential, findCredential } from "./credential-finder.ts";
import { type RequestFields, requestOf } from "./testing/request.ts";

const places: CredentialPlaces = {
  bearer: true,
  issuers: [],
  apiKeyHeader: "x-api-key",
  sessionCookie: "session",
  peer: "certificate",
  trustDomains: ["cluster.local"],
  gateways: ["spiffe://cluster.local/ns/istio-system/sa/gateway"],
};
const orders = "spiffe://cluster.local/ns/shop/sa/orders";

function find(fields: RequestFields, changes: Partial<CredentialPlaces> = {}): FoundCredential {
  return findCredential(requestOf(fields), { ...places, ...changes });
}

const bearer = (token: string, header: string): FoundCredential => ({
  kind: "credential",
  credential: { kind: "bearerToken", token },
  header,
});
const apiKey = (key: string): FoundCredential => ({
  kind: "credential",
  credential: { kind: "apiKey", key },
  header: "x-api-key",
});
const malformed = { kind: "malformed" };
const none = { kind: "none" };

test("each place is read", () => {
  assert.deepEqual(
    find({ headers: { authorization: "Bearer abc.d-e_f~g+h/i==" } }),
    bearer("abc.d-e_f~g+h/i==", "authorization"),
  );
  assert.deepEqual(find({ headers: { authorization: "bEARER abc" } }), bearer("abc", "authorization"));
  assert.deepEqual(find({ headers: { "x-api-key": "gh_abc" } }), apiKey("gh_abc"));
  assert.deepEqual(find({ headers: { cookie: "a=1; session=abc; b=2" } }), bearer("abc", "cookie"));
  assert.deepEqual(find({ headers: { cookie: 'session="abc"' } }), bearer("abc", "cookie"));
  assert.deepEqual(find({ sourcePrincipal: orders }), { kind: "workload", id: orders });
  assert.deepEqual(find({}), none);
});

test("the first place decides, and a bad credential there is not rescued by a later one", () => {
  const headers = { authorization: "Bearer abc", "x-api-key": "key", cookie: "session=def" };
  assert.deepEqual(find({ headers, sourcePrincipal: orders }), bearer("abc", "authorization"));
  for (const value of [
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Bearer a,b",
    "Bearer a, Bearer b",
    `Bearer ${"a".repeat(16_385)}`,
  ]) {
    assert.deepEqual(find({ headers: { ...headers, authorization: value } }), malformed, value);
  }
  for (const key of ["", "a,b", "a b", "a".repeat(257)]) {
    assert.deepEqual(find({ headers: { "x-api-key": key, cookie: "session=def" } }), malformed, key);
  }
});

test("another scheme of Authorization is the workload's own", () => {
  assert.deepEqual(find({ headers: { authorization: "Basic YTpi" } }), none);
  assert.deepEqual(find({ headers: { authorization: "Bearerabc" } }), none);
  assert.deepEqual(find({ headers: { authorization: "Basic YTpi", cookie: "session=abc" } }), bearer("abc", "cookie"));
});

test("of two cookies that differ none is taken", () => {
  assert.deepEqual(find({ headers: { cookie: "session=abc; session=abc" } }), bearer("abc", "cookie"));
  assert.deepEqual(find({ headers: { cookie: "session=abc; session=def" } }), malformed);
  assert.deepEqual(find({ headers: { cookie: "session=" } }), malformed);
  assert.deepEqual(find({ headers: { cookie: "Session=abc; xsession=abc; session" } }), none);
});

test("places that are turned off are not read", () => {
  const off = { bearer: false, apiKeyHeader: undefined, sessionCookie: undefined, peer: undefined };
  const headers = { authorization: "Bearer abc", "x-api-key": "key", cookie: "session=abc" };
  assert.deepEqual(find({ headers, sourcePrincipal: orders }, off), none);
  assert.deepEqual(find({ headers: { "x-forwarded-client-cert": `URI=${orders}` } }), none);
});

test("only workloads of known trust domains are taken, in the form of a SPIFFE id", () => {
  for (const id of [
    "spiffe://evil.example/ns/shop/sa/orders",
    "spiffe://cluster.local.evil/ns/x",
    "spiffe://cluster.local",
    "spiffe://cluster.local/",
    "spiffe://cluster.local/ns/../sa/x",
    "spiffe://cluster.local/ns//sa",
    "spiffe://CLUSTER.local/ns/x",
    `${orders}?x`,
    "CN=orders",
  ]) {
    assert.deepEqual(find({ sourcePrincipal: id }), malformed, id);
  }
});

test("a gateway's identity is nobody's", () => {
  assert.deepEqual(find({ sourcePrincipal: places.gateways[0] ?? "" }), none);
});

test("of a forwarded certificate the last element counts, and its header is read only when it is asked for", () => {
  const xfcc = (value: string): FoundCredential =>
    find({ headers: { "x-forwarded-client-cert": value }, sourcePrincipal: orders }, { peer: "forwarded" });
  const billing = "spiffe://cluster.local/ns/shop/sa/billing";
  assert.deepEqual(xfcc(`By=${orders};Hash=ab;URI=${billing}`), { kind: "workload", id: billing });
  assert.deepEqual(xfcc(`URI=${orders},By=x;Subject="CN=a,URI=${orders};b\\"";URI="${billing}"`), {
    kind: "workload",
    id: billing,
  });
  for (const value of [
    "",
    "Hash=ab",
    `URI=${billing};URI=${orders}`,
    `Subject="a;URI=${billing}`,
    `URI=${billing},Hash=ab`,
  ]) {
    assert.deepEqual(xfcc(value), malformed, value);
  }
  assert.deepEqual(find({ sourcePrincipal: orders }, { peer: "forwarded" }), none);
});
