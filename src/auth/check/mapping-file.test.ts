import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mapping } from "./mapping.ts";
import { MappingError, parseMapping } from "./mapping-file.ts";
import { requestOf } from "./testing/request.ts";

function mapping(rules: readonly object[], more: object = {}): Mapping {
  return parseMapping(JSON.stringify({ version: 1, ...more, rules }), "mapping.json");
}

const rule = (name: string, fields: object): object => ({
  name,
  action: 'Action::"view"',
  resource: 'Document::"all"',
  ...fields,
});

/** Name of the rule that a request finds, or why there is none. */
function found(table: Mapping, target: string, fields: Parameters<typeof requestOf>[0] = {}): string {
  const mapped = table.map(requestOf({ target, ...fields }));
  return mapped.kind === "rule" ? mapped.rule.name : mapped.kind;
}

function problems(text: string): readonly string[] {
  try {
    parseMapping(text, "mapping.yaml");
  } catch (error) {
    assert.ok(error instanceof MappingError);
    assert.match(error.message, /^The mapping mapping\.yaml is not valid:\n/);
    return error.problems;
  }
  return [];
}

test("the most specific path is found, whatever the order", () => {
  const rules = [
    rule("everything", { path: "/**" }),
    rule("any", { path: "/docs/{id}" }),
    rule("new", { path: "/docs/new" }),
    rule("pages", { path: "/docs/{id}/pages/{page}" }),
    rule("new-pages", { path: "/docs/new/{rest=**}" }),
    rule("root", { path: "/" }),
  ];
  for (const order of [rules, rules.toReversed()]) {
    const table = mapping(order);
    assert.equal(found(table, "/"), "root");
    assert.equal(found(table, "/docs/new"), "new");
    assert.equal(found(table, "/docs/old"), "any");
    assert.equal(found(table, "/docs/old/pages/2"), "pages");
    assert.equal(found(table, "/docs/new/pages/2"), "new-pages");
    assert.equal(found(table, "/docs/old/pages"), "everything");
    assert.equal(found(table, "/Docs/new"), "everything");
  }
});

test("the most specific path decides: a wider rule does not step in for a method", () => {
  const table = mapping([
    rule("read", { path: "/docs/{id}", methods: ["GET"] }),
    { name: "open", path: "/**", public: true },
  ]);
  assert.equal(found(table, "/docs/17"), "read");
  assert.equal(found(table, "/docs/17", { method: "DELETE" }), "unmapped");
  assert.equal(found(table, "/docs/17", { method: "get" }), "unmapped");
  assert.equal(found(table, "/docs/17", { method: "HEAD" }), "unmapped");
  assert.equal(found(table, "/other", { method: "DELETE" }), "open");
});

test("a rule with methods goes before one without", () => {
  const table = mapping([rule("rest", { path: "/a" }), rule("read", { path: "/a", methods: ["GET"] })]);
  assert.deepEqual([found(table, "/a"), found(table, "/a", { method: "PUT" })], ["read", "rest"]);
});

test("variables take one segment that is not empty, and ** one or more", () => {
  const table = mapping([rule("one", { path: "/docs/{id}" }), rule("more", { path: "/files/{path=**}" })]);
  assert.deepEqual(
    ["/docs", "/docs/", "/docs/a", "/docs/a/", "/files", "/files/", "/files/a", "/files/a/b/"].map((path) =>
      found(table, path),
    ),
    ["unmapped", "unmapped", "one", "unmapped", "unmapped", "unmapped", "more", "more"],
  );
});

test("hosts are compared without case, port and final dot, the exact one first", () => {
  const table = mapping([
    rule("exact", { hosts: ["docs.example.com"], path: "/a" }),
    rule("below", { hosts: ["*.example.com"], path: "/**" }),
    rule("deeper", { hosts: ["*.eu.example.com"], path: "/**" }),
    rule("every", { path: "/**" }),
  ]);
  const at = (host: string, path = "/a"): string => found(table, path, { host });
  assert.deepEqual(
    [
      "docs.example.com",
      "DOCS.example.COM:8080",
      "docs.example.com.",
      "x.example.com",
      "a.b.eu.example.com",
      "example.com",
      "[::1]:80",
    ].map((host) => at(host)),
    ["exact", "exact", "exact", "below", "deeper", "every", "every"],
  );
  assert.equal(at("docs.example.com", "/b"), "below");
  for (const host of ["", "a b", "a/b", "docs.example.com:x", "user@docs.example.com", "a,b", "..", "a..example.com"]) {
    assert.equal(at(host), "malformed", host);
  }
});

test("a destination with rules of its own has no others, whatever host the caller names", () => {
  const orders = "spiffe://cluster.local/ns/shop/sa/orders";
  const table = mapping([
    rule("orders", { destinations: [orders], path: "/orders/{id}" }),
    { name: "site", hosts: ["www.example.com"], path: "/**", public: true },
  ]);
  const at = (path: string, destinationPrincipal: string): string =>
    found(table, path, { host: "www.example.com", destinationPrincipal });
  assert.equal(at("/orders/17", orders), "orders");
  assert.equal(at("/admin", orders), "unmapped");
  assert.equal(at("/admin", "spiffe://cluster.local/ns/shop/sa/site"), "site");
});

test("gRPC methods are POST to their path", () => {
  const table = mapping([
    rule("get", { grpc: "demo.v1.Docs/Get" }),
    rule("any", { grpc: "demo.v1.Docs/*", resource: 'Method::"{method}"' }),
  ]);
  const post = { method: "POST" };
  assert.equal(found(table, "/demo.v1.Docs/Get", post), "get");
  assert.equal(found(table, "/demo.v1.Docs/List", post), "any");
  assert.equal(found(table, "/demo.v1.Docs/Get"), "unmapped");
  assert.equal(found(table, "/demo.v1.docs/Get", post), "unmapped");
});

test("paths are read as configured", () => {
  const rules = [rule("docs", { path: "/Docs/{id}/" })];
  assert.equal(found(mapping(rules), "/docs/17"), "unmapped");
  const lax = mapping(rules, { paths: { ignoreCase: true, trailingSlash: "ignore", doubleSlashes: "merge" } });
  for (const path of ["/docs/17", "/DOCS//17/"]) assert.equal(found(lax, path), "docs");
  assert.equal(found(lax, "/docs/../docs/17"), "malformed");
});

test("an empty list of rules denies everything", () => {
  assert.equal(found(mapping([]), "/"), "unmapped");
});

test("every fault is told at once, with its line", () => {
  const text = `version: 2
realms: x
credentials:
  apiKeyHeader: "x api"
  peer: { trustDomains: [] }
paths: { doubleSlashes: allow }
rules:
  - path: docs
    action: view
    resource: Document::"{id"
  - path: /docs/{id}/{id}
    public: true
    action: Action::"view"
  - grpc: Docs
    methods: [get]
  - path: /a/%2e
    action: Action::"view"
  - path: /b
    hosts: []
    unknown: 1
    action: Action::"view"
    resource: Document::"a"
    context: { "a b": "x", page: { from: "{query}", as: int } }
`;
  assert.deepEqual(problems(text), [
    "line 1: version must be 1",
    "line 2: realms is not known here",
    "line 4: credentials.apiKeyHeader must be the name of a header",
    "line 5: credentials.peer.trustDomains must not be empty",
    "line 6: paths.doubleSlashes must be reject or merge",
    "line 8: rules[0].path must start with /",
    'line 9: rules[0].action must be an entity such as Document::"{id}"',
    'line 10: rules[0].resource has a "{" without its other half',
    "line 11: rules[1].path has {id} twice",
    "line 14: rules[2].grpc must be package.Service/Method, or package.Service/*",
    "line 15: rules[2].methods[0] must be a method in upper case",
    'line 16: rules[3].path has "%2e": write segments decoded, and without a query',
    "line 19: rules[4].hosts must not be empty",
    "line 20: rules[4].unknown is not known here",
    "line 23: rules[4].context.a b must be the name of an attribute",
    "line 23: rules[4].context.page must be text with values in braces, a whole number, true, false, or { from, as, required }",
  ]);
});

test("faults between rules and within them are told too", () => {
  const text = `version: 1
rules:
  - { path: "/a/{x}", action: 'Action::"{y}"', resource: 'D::"{x}"', context: { z: "{z}" } }
  - { path: "/a/{other}", action: 'Action::"v"', resource: 'D::"a"' }
  - { name: open, path: /p, public: true, action: 'Action::"v"' }
  - { name: open, path: /q, methods: [GET, PUT], public: true }
  - { path: /q, methods: [PUT], action: 'Action::"v"' }
  - { public: true }
  - { grpc: a.B/C, path: /x, methods: [GET], public: true }
`;
  assert.deepEqual(problems(text), [
    "line 3: rules[0].action has {y}, which the path has not",
    "line 3: rules[0].context.z has {z}, which the path has not",
    "line 4: rules[1] matches the same requests as a rule before it",
    "line 5: rules[2].action has no meaning in a public rule",
    "line 6: rules[3].name is the name of a rule before it",
    "line 7: rules[4].resource is required, unless the rule is public",
    "line 7: rules[4] matches the same PUT requests as a rule before it",
    "line 8: rules[5] needs a path, or grpc",
    "line 9: rules[6].grpc stands in place of path, not beside it",
    "line 9: rules[6].methods has no meaning beside grpc: its requests are POST",
  ]);
});

test("what is no YAML, or more than a file should be, is refused", () => {
  for (const text of ["{", "a: 1\na: 2", "- 1", "", "null", "rules: []", "x".repeat(1_048_577)]) {
    assert.notDeepEqual(problems(text), [], text.slice(0, 20));
  }
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n`;
  assert.notDeepEqual(problems(bomb), []);
});
