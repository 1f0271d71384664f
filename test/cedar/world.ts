import fc from "fast-check";
import type { CedarJson, CedarJsonObject, EntityJson, EntityUid } from "../../src/policy/cedar/types.ts";
import type { OracleRequest, PolicyTexts } from "./oracle.ts";

/**
 * Generated worlds: policy sets with templates, entities in a hierarchy, and requests. Few names, so that they meet;
 * mostly well-typed, so that policies do not merely fail; shallow, so that the official engine never traps.
 */
export interface World {
  readonly policies: PolicyTexts;
  readonly entities: readonly EntityJson[];
  readonly requests: readonly OracleRequest[];
}

const TYPES = ["User", "Group", "Doc", "App::Folder"] as const;
const IDS = ["a", "b", "c"] as const;
const ACTIONS = ["view", "edit", "all", "ghost"] as const;

const uid: fc.Arbitrary<EntityUid> = fc.record({ type: fc.constantFrom(...TYPES), id: fc.constantFrom(...IDS) });
const actionUid: fc.Arbitrary<EntityUid> = fc.constantFrom(...ACTIONS).map((id) => ({ type: "Action", id }));
const anyUid = fc.oneof({ weight: 6, arbitrary: uid }, { weight: 1, arbitrary: actionUid });
const entityText = anyUid.map(({ type, id }) => `${type}::"${id}"`);
const typeName = fc.constantFrom(...TYPES, "Action");

/** Negative literals in parentheses, as `!-1` does not parse. */
const longText = fc
  .oneof(
    { weight: 6, arbitrary: fc.integer({ min: -4, max: 9 }).map(String) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740991",
        "9007199254740993",
        "4611686018427387904",
      ),
    },
  )
  .map((text) => (text.startsWith("-") ? `(${text})` : text));
const word = fc.constantFrom("", "a", "ab", "ba", "aba", "a*b", "é😀");
const pattern = fc
  .array(fc.constantFrom("*", "a", "b", "ab", "\\*", "😀"), { maxLength: 6 })
  .map((parts) => `"${parts.join("")}"`);
const decimalText = fc.constantFrom("0.0", "-0.5", "1.25", "1.2500", "922337203685477.5807", "1.23456");
const ipText = fc.constantFrom(
  "10.0.0.1",
  "10.0.0.0/8",
  "10.0.0.0/24",
  "127.0.0.1",
  "127.0.0.0/7",
  "224.0.0.1",
  "::1",
  "::/0",
  "1.2.3",
);
const datetimeText = fc.constantFrom(
  "1970-01-01",
  "1969-12-31T23:59:59.999Z",
  "2024-02-29T01:02:03.004+0100",
  "2023-02-29",
);
const durationText = fc.constantFrom("1h", "-1d1ms", "0ms", "9223372036854775807ms", "1x");

/** The attributes and tags that entities and contexts have, and of which kind; wrong kinds turn up now and then. */
const ATTRIBUTES = {
  n: "long",
  m: "long",
  s: "string",
  t: "bool",
  who: "entity",
  in: "entities",
  nums: "longs",
  rec: "record",
  dec: "decimal",
  ip: "ip",
  at: "datetime",
  span: "duration",
} as const;
type Kind = (typeof ATTRIBUTES)[keyof typeof ATTRIBUTES];

const extension = (fn: string, arg: fc.Arbitrary<string>): fc.Arbitrary<CedarJson> =>
  arg.filter(isValidLiteral).map((text) => ({ __extn: { fn, arg: text } }));

/** Malformed literals stay out of entity data, which the official engine refuses whole. */
function isValidLiteral(text: string): boolean {
  return !["1.23456", "1.2.3", "2023-02-29", "1x"].includes(text);
}

const smallLong = fc.integer({ min: -4, max: 9 });
const longJson = fc.oneof(
  { weight: 8, arbitrary: smallLong },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 53 - 1, 1 - 2 ** 53) },
);
const entityJson = anyUid.map((ref) => ({ __entity: { type: ref.type, id: ref.id } }));
const JSON_OF: Record<Kind, fc.Arbitrary<CedarJson>> = {
  long: longJson,
  string: word,
  bool: fc.boolean(),
  entity: entityJson,
  entities: fc.array(entityJson, { maxLength: 4 }),
  longs: fc.oneof(
    { weight: 5, arbitrary: fc.array(smallLong, { maxLength: 4 }) },
    { weight: 1, arbitrary: fc.array(smallLong, { minLength: 9, maxLength: 12 }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.oneof(smallLong, word, fc.boolean(), entityJson, fc.record({ n: smallLong })), {
        maxLength: 11,
      }),
    },
  ),
  record: fc.record(
    { n: smallLong, s: word, rec: fc.record({ n: smallLong }, { requiredKeys: [] }) },
    { requiredKeys: [] },
  ),
  decimal: extension("decimal", decimalText),
  ip: extension("ip", ipText),
  datetime: extension("datetime", datetimeText),
  duration: extension("duration", durationText),
};

const anyJson = fc.oneof(...Object.values(JSON_OF));
const attributes = fc.record(
  Object.fromEntries(
    Object.entries(ATTRIBUTES).map(([name, kind]) => [
      name,
      fc.oneof({ weight: 12, arbitrary: JSON_OF[kind] }, { weight: 1, arbitrary: anyJson }),
    ]),
  ),
  { requiredKeys: [] },
);
const tags = fc.dictionary(fc.constantFrom("a", "ab", "n"), anyJson, { maxKeys: 2 });

/** Expressions as text, by the type they should have. Every binary operation is in parentheses. */
const expressions = fc.letrec<Record<Kind | "any" | "place", string>>((tie) => {
  const deep = (depthSize: "small" = "small"): { depthSize: "small"; maxDepth: number } => ({ depthSize, maxDepth: 3 });
  const cat = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
    fc
      .tuple(...parts.map((part) => (typeof part === "string" ? fc.constant(part) : part)))
      .map((texts) => texts.join(""));
  /** Mostly the wanted type. */
  const of = (kind: Kind): fc.Arbitrary<string> =>
    fc.oneof({ weight: 20, arbitrary: tie(kind) }, { weight: 1, arbitrary: tie("any") });
  const read = (kind: Kind): fc.Arbitrary<string> => {
    const names = Object.entries(ATTRIBUTES)
      .filter(([, of]) => of === kind)
      .map(([name]) => name);
    return cat(
      tie("place"),
      fc.constantFrom(...names).map((name) => (name === "in" ? '["in"]' : `.${name}`)),
    );
  };
  const choose = (kind: Kind): fc.Arbitrary<string> =>
    cat("(if ", of("bool"), " then ", of(kind), " else ", of(kind), ")");
  const call = (fn: string, literal: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    literal.map((text) => `${fn}("${text}")`);
  const binary = (left: Kind, operators: readonly string[], right: Kind): fc.Arbitrary<string> =>
    cat("(", of(left), " ", fc.constantFrom(...operators), " ", of(right), ")");
  const method = (left: Kind, names: readonly string[], right?: Kind): fc.Arbitrary<string> =>
    cat("(", of(left), ").", fc.constantFrom(...names), "(", right === undefined ? "" : of(right), ")");
  const COMPARE = ["<", "<=", ">", ">="];

  return {
    place: fc.oneof(
      deep(),
      { weight: 5, arbitrary: fc.constantFrom("principal", "resource", "context", "action") },
      { weight: 1, arbitrary: tie("entity") },
      { weight: 1, arbitrary: tie("record") },
    ),
    any: fc.oneof(
      deep(),
      longText,
      word.map((text) => `"${text}"`),
      ...(Object.keys(JSON_OF) as Kind[]).map((kind) => tie(kind)),
    ),
    bool: fc.oneof(
      deep(),
      { weight: 3, arbitrary: fc.constantFrom("true", "false") },
      read("bool"),
      cat(
        "(",
        fc.constantFrom("principal", "resource", "context", "action"),
        " has ",
        fc.constantFrom("n", "s", "rec.n", "rec.rec.n", "who.n", "zzz", '"in"'),
        ")",
      ),
      cat("(!", of("bool"), ")"),
      { weight: 2, arbitrary: binary("bool", ["&&", "||"], "bool") },
      cat("(", of("bool"), " && ", of("bool"), " && ", of("bool"), ")"),
      cat("(", of("bool"), " || ", of("bool"), " || ", of("bool"), ")"),
      { weight: 2, arbitrary: binary("long", [...COMPARE, "==", "!="], "long") },
      ...(Object.keys(JSON_OF) as Kind[]).map((kind) => binary(kind, ["==", "!="], kind)),
      cat("(", tie("any"), " == ", tie("any"), ")"),
      binary("datetime", COMPARE, "datetime"),
      binary("duration", COMPARE, "duration"),
      { weight: 2, arbitrary: binary("entity", ["in"], "entity") },
      { weight: 2, arbitrary: binary("entity", ["in"], "entities") },
      cat("(", of("entity"), " is ", typeName, ")"),
      cat("(", of("entity"), " is ", typeName, " in ", of("entity"), ")"),
      cat("(", of("string"), " like ", pattern, ")"),
      cat("(", tie("place"), " has ", fc.constantFrom("n", "rec", "rec.rec.n", "at"), ")"),
      method("longs", ["contains"], "long"),
      method("entities", ["contains"], "entity"),
      method("longs", ["containsAll", "containsAny"], "longs"),
      method("entities", ["containsAll", "containsAny"], "entities"),
      method("longs", ["isEmpty"]),
      method("entity", ["hasTag"], "string"),
      method("decimal", ["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"], "decimal"),
      method("ip", ["isIpv4", "isIpv6", "isLoopback", "isMulticast"]),
      method("ip", ["isInRange"], "ip"),
      choose("bool"),
    ),
    long: fc.oneof(
      deep(),
      { weight: 3, arbitrary: longText },
      { weight: 2, arbitrary: read("long") },
      { weight: 2, arbitrary: binary("long", ["+", "-", "*"], "long") },
      cat("(-", of("long"), ")"),
      method("duration", ["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"]),
      cat("(", of("entity"), ").getTag(", of("string"), ")"),
      choose("long"),
    ),
    string: fc.oneof(
      deep(),
      { weight: 3, arbitrary: word.map((text) => `"${text}"`) },
      read("string"),
      choose("string"),
    ),
    entity: fc.oneof(
      deep(),
      { weight: 3, arbitrary: fc.constantFrom("principal", "action", "resource") },
      { weight: 2, arbitrary: entityText },
      read("entity"),
    ),
    entities: fc.oneof(
      deep(),
      fc.array(entityText, { maxLength: 3 }).map((all) => `[${all.join(", ")}]`),
      read("entities"),
      cat("[", of("entity"), ", ", of("entity"), "]"),
    ),
    longs: fc.oneof(
      deep(),
      fc.array(longText, { maxLength: 3 }).map((all) => `[${all.join(", ")}]`),
      read("longs"),
      cat("[", tie("any"), ", ", of("long"), "]"),
    ),
    record: fc.oneof(
      deep(),
      fc.constant("{}"),
      read("record"),
      cat("{n: ", of("long"), ", s: ", of("string"), "}"),
      cat('{"rec": ', of("record"), "}"),
    ),
    decimal: fc.oneof(deep(), call("decimal", decimalText), read("decimal")),
    ip: fc.oneof(deep(), call("ip", ipText), read("ip")),
    datetime: fc.oneof(
      deep(),
      { weight: 2, arbitrary: call("datetime", datetimeText) },
      read("datetime"),
      method("datetime", ["offset"], "duration"),
      method("datetime", ["toDate"]),
    ),
    duration: fc.oneof(
      deep(),
      { weight: 2, arbitrary: call("duration", durationText) },
      read("duration"),
      method("datetime", ["durationSince"], "datetime"),
      method("datetime", ["toTime"]),
    ),
  };
});

const conditions = fc
  .array(fc.tuple(fc.constantFrom("when", "unless"), expressions.bool), { maxLength: 2 })
  .map((clauses) => clauses.map(([kind, body]) => `${kind} { ${body} }`).join(" "));
const effect = fc.constantFrom("permit", "permit", "forbid");

const actionScope = fc.oneof(
  { weight: 6, arbitrary: fc.constant("action") },
  { weight: 2, arbitrary: actionUid.map(({ id }) => `action == Action::"${id}"`) },
  { weight: 2, arbitrary: actionUid.map(({ id }) => `action in Action::"${id}"`) },
  {
    weight: 3,
    arbitrary: fc
      .array(actionUid, { maxLength: 3, size: "max" })
      .map((all) => `action in [${all.map(({ id }) => `Action::"${id}"`).join(", ")}]`),
  },
);

function entityScope(variable: "principal" | "resource", target: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.constant<string>(variable) },
    { weight: 2, arbitrary: target.map((text) => `${variable} == ${text}`) },
    { weight: 4, arbitrary: target.map((text) => `${variable} in ${text}`) },
    { weight: 2, arbitrary: typeName.map((type) => `${variable} is ${type}`) },
    { weight: 2, arbitrary: fc.tuple(typeName, target).map(([type, text]) => `${variable} is ${type} in ${text}`) },
  );
}

function policy(principal: fc.Arbitrary<string>, resource: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(effect, entityScope("principal", principal), actionScope, entityScope("resource", resource), conditions)
    .map(([kind, p, a, r, when]) => `${kind}(${p}, ${a}, ${r}) ${when};`);
}

const template = policy(fc.constant("?principal"), fc.constant("?resource")).filter((text) => text.includes("?"));

const policies: fc.Arbitrary<PolicyTexts> = fc
  .record({
    statics: fc.array(policy(entityText, entityText), { minLength: 2, maxLength: 10, size: "max" }),
    templates: fc.array(template, { maxLength: 2 }),
    links: fc.array(fc.record({ template: fc.nat(), principal: anyUid, resource: anyUid }), { maxLength: 4 }),
  })
  .map(({ statics, templates, links }) => ({
    staticPolicies: Object.fromEntries(statics.map((text, at) => [`policy${at}`, text])),
    templates: Object.fromEntries(templates.map((text, at) => [`template${at}`, text])),
    templateLinks: links.slice(0, templates.length === 0 ? 0 : links.length).map((link, at) => {
      const chosen = link.template % templates.length;
      const text = templates[chosen] ?? "";
      const values: Record<string, EntityUid> = {};
      if (text.includes("?principal")) values["?principal"] = link.principal;
      if (text.includes("?resource")) values["?resource"] = link.resource;
      return { templateId: `template${chosen}`, newId: `link${at}`, values };
    }),
  }));

/** Entities in an order in which each has parents only among the earlier ones, so that there is no cycle. */
const entities: fc.Arbitrary<EntityJson[]> = fc
  .tuple(
    fc.uniqueArray(uid, { maxLength: 9, size: "max", selector: ({ type, id }) => `${type} ${id}` }),
    fc.uniqueArray(actionUid, { maxLength: 3, size: "max", selector: ({ id }) => id }),
  )
  .chain(([others, actions]) => {
    const all = [...others, ...actions];
    return fc.tuple(
      ...all.map((self, at) => {
        const isAction = self.type === "Action";
        const earlier = all.slice(0, at).filter(({ type }) => !isAction || type === "Action");
        return fc.record({
          uid: fc.constant(self),
          attrs: isAction ? fc.constant({}) : (attributes as fc.Arbitrary<CedarJsonObject>),
          parents:
            earlier.length === 0 ? fc.constant([]) : fc.uniqueArray(fc.constantFrom(...earlier), { maxLength: 3 }),
          tags: isAction ? fc.constant({}) : tags,
        });
      }),
    );
  });

const request: fc.Arbitrary<OracleRequest> = fc.record({
  principal: uid,
  action: fc.oneof({ weight: 9, arbitrary: actionUid }, { weight: 1, arbitrary: uid }),
  resource: uid,
  context: attributes as fc.Arbitrary<CedarJsonObject>,
});

/** A world with the given count of requests. */
export function world(requestCount: number): fc.Arbitrary<World> {
  return fc.record({
    policies,
    entities,
    requests: fc.array(request, { minLength: requestCount, maxLength: requestCount }),
  });
}
