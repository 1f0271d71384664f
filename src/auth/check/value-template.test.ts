import assert from "node:assert/strict";
import { test } from "node:test";
import { renderContext } from "./context-template.ts";
import { parseEntityTemplate, renderEntity } from "./entity-template.ts";
import { RequestValues } from "./request-values.ts";
import { requestOf } from "./testing/request.ts";
import { parseValueTemplate, renderText, ValueTemplateError } from "./value-template.ts";

function values(target = "/docs/17?page=2&q=a+b&q2=%ff&twice=1&twice=1&empty="): RequestValues {
  const request = requestOf({ target, method: "PUT", host: "Docs.Example.com:80", headers: { "x-tenant": "acme" } });
  const attributes = { team: "red", level: 3, tags: ["a", "b"], org: { unit: "x" } };
  const principal = { type: "User", id: "alice", roles: ["editor"], attributes } as const;
  return new RequestValues(request, principal, new Map([["id", "17"]]), ["docs", "17"]);
}

const text = (template: string): string | undefined => renderText(parseValueTemplate(template), values().lookup);

test("values are taken from every place", () => {
  assert.equal(text("{id}/{header:X-Tenant}/{query:page}/{query:q}"), "17/acme/2/a b");
  assert.equal(text("{claim:team}.{claim:level}.{claim:org.unit}"), "red.3.x");
  assert.equal(text("{principal:type} {principal:id}"), "User alice");
  assert.equal(
    text("{request:method} {request:host}{request:path} {request:scheme} {request:address}"),
    "PUT docs.example.com/docs/17 http 10.0.0.7",
  );
  assert.equal(text("{{id}} {{{id}}}"), "{id} {17}");
});

test("a value that is missing, empty or no text makes no text", () => {
  for (const template of [
    "a{header:none}",
    "{query:none}",
    "{query:empty}",
    "{claim:none}",
    "{claim:tags}",
    "{claim:org}",
    "{claim:team.x}",
    "{claim:__proto__}",
    "{claim:constructor}",
  ]) {
    assert.equal(text(template), undefined, template);
  }
});

test("a query parameter that is there twice, or is no UTF-8, is ambiguous", () => {
  for (const [template, ambiguous] of [
    ["{query:page}", false],
    ["{query:twice}", true],
    ["{query:q2}", true],
  ] as const) {
    const source = values();
    renderText(parseValueTemplate(template), source.lookup);
    assert.equal(source.ambiguous, ambiguous, template);
  }
});

test("templates that are not well-formed are refused", () => {
  for (const template of [
    "{",
    "}",
    "{id",
    "id}",
    "{}",
    "{a b}",
    "{header:}",
    "{header:a b}",
    "{cookie:a}",
    "{principal:roles}",
    "{request:body}",
    "{ id }",
  ]) {
    assert.throws(() => parseValueTemplate(template), ValueTemplateError, template);
  }
});

test("entities have a fixed type, and whatever the request holds is only ever the id", () => {
  const entity = (template: string, id: string): unknown => renderEntity(parseEntityTemplate(template), () => id);
  assert.deepEqual(entity('Shop::Document::"{id}"', '17", "x'), { type: "Shop::Document", id: '17", "x' });
  assert.deepEqual(entity('Document::"a\\"{id}"', "b"), { type: "Document", id: 'a"b' });
  assert.equal(entity('Document::"{id}"', "a".repeat(1_025)), undefined);
  assert.equal(entity('Document::"{id}"', "\ud800"), undefined);
  for (const template of [
    "Document",
    "Document::17",
    'Document::""',
    '::"a"',
    'a b::"c"',
    'Document::"a"b"',
    '{id}::"a"',
    'Document::"\\x"',
  ]) {
    assert.throws(() => parseEntityTemplate(template), ValueTemplateError, template);
  }
});

test("context values become what they are declared to be, or are malformed", () => {
  const made = (
    value: string,
    as: Parameters<typeof renderContext>[0] extends infer T ? (T extends { as: infer A } ? A : never) : never,
  ): unknown => renderContext({ from: parseValueTemplate("{id}"), as, required: false }, () => value);
  assert.deepEqual(made("a", "any"), { value: "a" });
  assert.deepEqual(made("-17", "long"), { value: -17 });
  assert.deepEqual(made("true", "boolean"), { value: true });
  assert.deepEqual(made("10.0.0.0/8", "ip"), { value: { __extn: { fn: "ip", arg: "10.0.0.0/8" } } });
  assert.deepEqual(made("1.50", "decimal"), { value: { __extn: { fn: "decimal", arg: "1.50" } } });
  assert.deepEqual(made("a, b", "set"), { value: ["a", "b"] });
  for (const [value, as] of [
    ["1e3", "long"],
    ["9007199254740993", "long"],
    ["", "long"],
    ["TRUE", "boolean"],
    ["10.0.0.256", "ip"],
    ["10.0.0.1/8/9", "ip"],
    ["1", "decimal"],
  ] as const) {
    const result = made(value, as);
    assert.ok(result === "malformed" || (value === "" && result === "missing"), `${value} as ${as}`);
  }
  assert.equal(made("a".repeat(8_193), "string"), "malformed");
});

test("a claim keeps its own type", () => {
  const claim = (name: string, as: "any" | "set"): unknown =>
    renderContext({ from: parseValueTemplate(`{claim:${name}}`), as, required: false }, values().lookup);
  assert.deepEqual(claim("tags", "any"), { value: ["a", "b"] });
  assert.deepEqual(claim("level", "any"), { value: 3 });
  assert.deepEqual(claim("team", "set"), { value: ["red"] });
  assert.equal(claim("none", "any"), "missing");
});
