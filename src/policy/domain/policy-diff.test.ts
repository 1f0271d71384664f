import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createCedarControl } from "../control/cedar-control.ts";
import { diffPolicySets } from "./policy-diff.ts";

const control = createCedarControl();
after(() => control.close());

const values = (id: string) => ({ "?principal": { type: "User", id } });
const TEMPLATE = '@id("t") permit(principal == ?principal, action, resource);';

test("policies, templates and links are compared by id and meaning", async () => {
  const before = await control.parsePolicies(
    `@id("same") permit(principal, action, resource) when { {a: 1, b: 2} == context.r };
     @id("long") permit(principal, action, resource) when { context.n == 9007199254740993 };
     @id("gone") permit(principal, action, resource); ${TEMPLATE}`,
    { links: [{ templateId: "t", newId: "l", values: values("a") }] },
  );
  const after = await control.parsePolicies(
    `${TEMPLATE} @id("new") permit(principal, action, resource);
     @id("long") permit(principal, action, resource) when { context.n == 9007199254740992 };
     // laid out anew
     @id("same") permit(principal, action, resource) when { { b: 2, a: 1 } == context.r };`,
    { links: [{ templateId: "t", newId: "l", values: values("b") }] },
  );
  assert.deepEqual(diffPolicySets(before.policySet, after.policySet), {
    added: ["new"],
    removed: ["gone"],
    changed: ["l", "long"],
  });
  assert.deepEqual(diffPolicySets(before.policySet, before.policySet), { added: [], removed: [], changed: [] });
});

test("a policy that becomes a template, and an annotation, are changes", () => {
  const policy = {
    effect: "permit",
    principal: { op: "All" },
    action: { op: "All" },
    resource: { op: "All" },
  } as const;
  const set = { staticPolicies: { p: policy } };
  assert.deepEqual(diffPolicySets(set, { templates: { p: policy } }).changed, ["p"]);
  assert.deepEqual(diffPolicySets(set, { staticPolicies: { p: { ...policy, annotations: { why: "x" } } } }).changed, [
    "p",
  ]);
});
