import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkParseContext, checkParseEntities, schemaToJsonWithResolvedTypes } from "@cedar-policy/cedar-wasm/nodejs";
import fc from "fast-check";
import type { CedarJson, CedarJsonObject, EntityJson, EntityUid } from "../cedar/types.ts";
import { createCedarControl } from "../control/cedar-control.ts";
import { actionEntities, normalizeEntities } from "./entity-normalizer.ts";
import { parseExactJson } from "./exact-json.ts";
import { createRequestValidator } from "./request-validator.ts";
import { type CedarSchema, compileSchema, type SchemaJson } from "./schema.ts";

const SCHEMA = `
type Device = { os: String, owner?: User, ports?: Set<Long> };
entity User in [Group] {
  age?: Long, ip?: ipaddr, limit?: decimal, since?: datetime, every?: duration,
  manager?: User, device?: Device, friends?: Set<User>, nets?: Set<ipaddr>, color?: Color, ok?: Bool
} tags Set<String>;
entity Group in [Org];
entity Org;
entity Color enum ["red", "green"];
action all;
action some in [all];
action view in [some] appliesTo { principal: User, resource: [User, Org], context: { mfa?: Bool, from: ipaddr, by?: User, color?: Color } };
namespace Shop {
  type Price = decimal;
  entity Item { price: Price, "a b"?: Long };
  action buy in [Action::"any"] appliesTo { principal: User, resource: Item };
  action any;
}
`;

const control = createCedarControl();
after(() => control.close());
const { schema } = await control.parseSchema(SCHEMA);

const user = (attrs: object, more: object = {}): object => ({
  uid: { type: "User", id: "a" },
  attrs,
  parents: [],
  ...more,
});
const uid = (type: string, id = "x"): EntityUid => ({ type, id });

/** Entities and what is wrong with them, told in part; undefined where nothing is. */
const ENTITIES: [object, RegExp | undefined][] = [
  [user({}), undefined],
  [user({ age: 7, ok: true }), undefined],
  [user({ age: "7" }), /attrs\.age: expected a long, found a string/],
  [user({ age: null }), /attrs\.age: expected a long, found null/],
  [user({ ok: 1 }), /attrs\.ok: expected a boolean, found a long/],
  [user({ agee: 7 }), /attrs\.agee: the schema does not declare it/],
  [user({ ip: "10.0.0.1/8", limit: "1.5", since: "2024-01-01", every: "1h" }), undefined],
  [user({ ip: { fn: "ip", arg: "::1" } }), undefined],
  [user({ ip: { __extn: { fn: "ip", arg: "::1" } } }), undefined],
  [user({ ip: { __extn: { fn: "decimal", arg: "1.0" } } }), /attrs\.ip: decimal makes no ipaddr/],
  [user({ ip: 1 }), /attrs\.ip: expected a value of the extension type ipaddr/],
  [user({ manager: uid("User") }), undefined],
  [user({ manager: { __entity: uid("User") } }), undefined],
  [user({ manager: uid("Group") }), /attrs\.manager: expected a reference to a User, found one to a Group/],
  [user({ manager: "x" }), /attrs\.manager: expected a reference to a User, found a string/],
  [user({ color: uid("Color", "red") }), undefined],
  [user({ color: uid("Color", "blue") }), /attrs\.color: Color is enumerated and has no id "blue"/],
  [user({ device: { os: "x", owner: uid("User"), ports: [1, 2] } }), undefined],
  [user({ device: { owner: uid("User") } }), /attrs\.device\.os: it is required/],
  [user({ device: { os: "x", ports: [1, "2"] } }), /attrs\.device\.ports\[1\]: expected a long/],
  [user({ friends: [uid("User"), { __entity: uid("User", "y") }], nets: ["10.0.0.0/8"] }), undefined],
  [user({ friends: [uid("Org")] }), /attrs\.friends\[0\]/],
  [user({}, { parents: [uid("Group")] }), undefined],
  [user({}, { parents: [uid("Org")] }), undefined],
  [user({}, { parents: [uid("User")] }), /parents\[0\]: a User cannot be in a User/],
  [user({}, { tags: { a: ["b"] } }), undefined],
  [user({}, { tags: { a: "b" } }), /tags\.a: expected a set, found a string/],
  [{ uid: uid("Org"), attrs: {}, parents: [], tags: { a: ["b"] } }, /tags: a Org has no tags/],
  [{ uid: uid("Org"), attrs: { a: 1 }, parents: [] }, /attrs\.a: the schema does not declare it/],
  [{ uid: uid("Nope"), attrs: {}, parents: [] }, /uid: unknown entity type Nope/],
  [{ uid: uid("Color", "green"), attrs: {}, parents: [] }, undefined],
  [{ uid: uid("Color", "blue"), attrs: {}, parents: [] }, /uid: Color is enumerated/],
  [{ uid: uid("Shop::Item"), attrs: { price: "1.25", "a b": 1 }, parents: [] }, undefined],
  [{ uid: uid("Shop::Item"), attrs: { "a b": 1 }, parents: [] }, /attrs\.price: it is required/],
  [{ uid: uid("Shop::Item"), attrs: { price: "1.25", "a b": "x" }, parents: [] }, /attrs\["a b"\]: expected a long/],
  [{ uid: uid("Action", "view"), attrs: {}, parents: [uid("Action", "some"), uid("Action", "all")] }, undefined],
  [
    { uid: uid("Action", "view"), attrs: {}, parents: [uid("Action", "none")] },
    /parents\[0\]: the schema does not declare/,
  ],
  [{ uid: uid("Action", "view"), attrs: { a: 1 }, parents: [] }, /attrs: an action has no attributes/],
  [{ uid: uid("Action", "nope"), attrs: {}, parents: [] }, /uid: unknown entity type Action/],
  [{ uid: { type: "User" }, attrs: {}, parents: [] }, /uid: expected/],
  [{ uid: uid("User"), attrs: [], parents: [] }, /attrs: it is not an object/],
  [{ uid: uid("User"), attrs: {}, parents: {} }, /parents: it is not a list/],
];

test("an entity is refused where the official implementation refuses it, and its fault is named", () => {
  for (const [entity, wanted] of ENTITIES) {
    const official = checkParseEntities({ entities: [entity as never], schema: SCHEMA });
    assert.equal(official.type, wanted ? "failure" : "success", JSON.stringify([entity, official]));
    const { entities, faults } = normalizeEntities([entity as EntityJson], schema);
    assert.equal(entities.length + faults.length, 1);
    if (wanted) assert.match(`${faults[0]?.path}: ${faults[0]?.reason}`, wanted);
    else assert.deepEqual(faults, []);
  }
});

test("what normalizing makes explicit means the same without the schema", () => {
  const valid = ENTITIES.filter(([, wanted]) => wanted === undefined).map(([entity]) => entity as EntityJson);
  const { entities } = normalizeEntities(valid, schema);
  for (const entity of entities) {
    assert.equal(checkParseEntities({ entities: [entity as never] }).type, "success");
  }
  const [implicit] = normalizeEntities(
    [user({ ip: "::1", manager: uid("User"), friends: [uid("User")] }) as EntityJson],
    schema,
  ).entities;
  assert.deepEqual(implicit!.attrs, {
    ip: { __extn: { fn: "ip", arg: "::1" } },
    manager: { __entity: uid("User") },
    friends: [{ __entity: uid("User") }],
  });
});

test("Longs stay exact, and an explicit entity is not copied", () => {
  const list = parseExactJson(
    '[{"uid":{"type":"User","id":"a"},"attrs":{"age":9007199254740993},"parents":[]}]',
  ) as unknown as EntityJson[];
  const { entities } = normalizeEntities(list, schema);
  assert.equal(entities[0]!.attrs.age, 9007199254740993n);
  assert.equal(entities[0]!.attrs, list[0]!.attrs);
});

test("a schema's actions become entities in their groups", () => {
  const entities = actionEntities(schema);
  const find = (type: string, id: string) =>
    entities.find((entity) => entity.uid.type === type && entity.uid.id === id);
  assert.deepEqual(find("Action", "view")?.parents, [uid("Action", "some")]);
  assert.deepEqual(find("Action", "some")?.parents, [uid("Action", "all")]);
  assert.deepEqual(find("Shop::Action", "buy")?.parents, [uid("Shop::Action", "any")]);
  assert.equal(entities.length, 5);
});

test("any value of any declared type is judged as the official implementation judges it", () => {
  const types = [
    "Bool",
    "Long",
    "String",
    "ipaddr",
    "decimal",
    "User",
    "Color",
    "Set<Long>",
    "Set<User>",
    "Set<ipaddr>",
    "Set<Set<Bool>>",
    "{ a: Long, b?: User }",
    "{ type: String, id: String }",
    "Set<{ a?: ipaddr }>",
    "{}",
  ];
  const { value } = fc.letrec<{ value: CedarJson }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<CedarJson>(true, 0, -7, "", "10.0.0.1", "1.5", null, {}, []),
      fc.constantFrom<CedarJson>(
        uid("User") as never,
        { __entity: uid("User") } as never,
        uid("Color", "red") as never,
        uid("Color") as never,
      ),
      fc.constantFrom<CedarJson>(
        { fn: "ip", arg: "::1" },
        { __extn: { fn: "decimal", arg: "1.0" } },
        { a: 1 },
        { a: 1, b: uid("User") as never },
      ),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b", "type", "id"), tie("value"), { maxKeys: 3 }),
    ),
  }));
  const text = (type: string): string => `entity User { x?: ${type} }; entity Color enum ["red"];`;
  const schemas = new Map(types.map((type) => [type, compileOfficially(text(type))]));
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...types), value, (type, x) => {
      const entity = user({ x }) as EntityJson;
      const official = checkParseEntities({ entities: [entity as never], schema: text(type) });
      const { entities, faults } = normalizeEntities([entity], schemas.get(type));
      // What an extension's constructor makes of a string is for the evaluator to say.
      const judged = faults.length === 0 && checkParseEntities({ entities: [entities[0] as never] }).type === "success";
      assert.equal(judged, official.type === "success", JSON.stringify([type, entity, official, faults]));
      if (judged) accepted++;
    }),
    { seed: 11, numRuns: 3_000 },
  );
  assert.ok(accepted > 150, `only ${accepted} were accepted: the values are too wild to tell anything`);
});

function compileOfficially(text: string): CedarSchema {
  const answer = schemaToJsonWithResolvedTypes(text);
  assert.equal(answer.type, "success");
  return compileSchema((answer as { json: SchemaJson }).json);
}

const view = (context: object, principal = uid("User"), resource = uid("Org"), action = uid("Action", "view")) => ({
  principal,
  action,
  resource,
  context: context as CedarJsonObject,
});

test("a request is refused where the schema does not admit it, and the reason is named", () => {
  const check = createRequestValidator(schema);
  const from = { from: "10.0.0.1" };
  const refused: [ReturnType<typeof view>, string, RegExp][] = [
    [view(from, uid("Nope")), "principal", /unknown entity type Nope/],
    [view(from, uid("Org")), "principal", /Action::"view" does not apply to a principal of type Org/],
    [view(from, uid("User"), uid("Group")), "resource", /does not apply to a resource of type Group/],
    [view(from, uid("User"), uid("Org"), uid("Action", "edit")), "action", /unknown action Action::"edit"/],
    [view(from, uid("User"), uid("Org"), uid("Action", "all")), "principal", /does not apply/],
    [view({}), "context", /context\.from: it is required/],
    [view({ ...from, mfa: 1 }), "context", /context\.mfa: expected a boolean/],
    [view({ ...from, nope: 1 }), "context", /context\.nope: the schema does not declare it/],
    [view({ ...from, color: uid("Color", "blue") }), "context", /context\.color: Color is enumerated/],
  ];
  for (const [request, field, reason] of refused) {
    const answer = check(request);
    assert.ok(!answer.ok);
    assert.equal(answer.field, field);
    assert.match(answer.reason, reason);
  }
  const answer = check(view({ from: "10.0.0.1", by: uid("User"), mfa: true }));
  assert.ok(answer.ok);
  assert.deepEqual(answer.context, {
    from: { __extn: { fn: "ip", arg: "10.0.0.1" } },
    by: { __entity: uid("User") },
    mfa: true,
  });
});

test("contexts are judged as the official implementation judges them", () => {
  const check = createRequestValidator(schema);
  const values: CedarJson[] = [
    true,
    1,
    "10.0.0.1",
    [],
    {},
    uid("User") as never,
    { __entity: uid("User") } as never,
    { fn: "ip", arg: "::1" },
  ];
  for (const name of ["mfa", "from", "by", "color", "other"]) {
    for (const value of values) {
      const context = { from: "::1", [name]: value };
      const official = checkParseContext({ context: context as never, schema: SCHEMA, action: uid("Action", "view") });
      assert.equal(check(view(context)).ok, official.type === "success", JSON.stringify([context, official]));
    }
  }
});

test("a context of 10,000 levels is refused, not overflowed on", () => {
  let deep: CedarJson = 1;
  for (let level = 0; level < 10_000; level++) deep = { os: deep };
  const check = createRequestValidator(schema);
  assert.equal(check(view({ from: deep })).ok, false);
  assert.equal(normalizeEntities([user({ device: deep }) as EntityJson], schema).faults.length, 1);
});

test("schemas in JSON resolve names as those in text", async () => {
  const json = {
    Shop: {
      commonTypes: { Price: { type: "decimal" }, Shape: { type: "Record", attributes: { price: { type: "Price" } } } },
      entityTypes: {
        Item: { shape: { type: "Shape" }, memberOfTypes: ["Shelf"] },
        Shelf: { shape: { type: "Record", attributes: { top: { type: "Entity", name: "Item", required: false } } } },
      },
      actions: {
        buy: { appliesTo: { principalTypes: ["Shelf"], resourceTypes: ["Shop::Item"] }, memberOf: [{ id: "any" }] },
        any: {},
      },
    },
  };
  const { schema: compiled } = await control.parseSchema({ name: "schema.json", text: JSON.stringify(json) });
  const item = compiled.entityTypes.get("Shop::Item")!;
  assert.deepEqual(item.shape.attributes.get("price"), {
    type: { kind: "extension", name: "decimal" },
    required: true,
  });
  assert.deepEqual([...item.ancestors], ["Shop::Shelf"]);
  const buy = compiled.actions.get("Shop::Action")!.get("buy")!;
  assert.deepEqual(
    [[...buy.principals], [...buy.resources], buy.parents],
    [["Shop::Shelf"], ["Shop::Item"], [uid("Shop::Action", "any")]],
  );
});
