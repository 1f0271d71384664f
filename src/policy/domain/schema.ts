/**
 * A Cedar schema compiled for checking entities and requests: names resolved, common types expanded, hierarchies closed.
 * It is built from the JSON form of a schema that the official implementation has accepted.
 *
 * @see https://docs.cedarpolicy.com/schema/json-schema.html
 */

import type { EntityUid } from "../cedar/types.ts";

/** A type, without names left to resolve. */
export type CedarType =
  | { readonly kind: "boolean" | "long" | "string" }
  | { readonly kind: "set"; readonly element: CedarType }
  | RecordType
  | { readonly kind: "entity"; readonly name: string }
  | { readonly kind: "extension"; readonly name: string };

/** A record with exactly these attributes. */
export type RecordType = { readonly kind: "record"; readonly attributes: ReadonlyMap<string, AttributeType> };

/** An attribute of a record. */
export type AttributeType = { readonly type: CedarType; readonly required: boolean };

/** What is declared of an entity type. */
export type EntityTypeSchema = {
  readonly name: string;
  /** Every type an ancestor may have, not the direct parents' alone. */
  readonly ancestors: ReadonlySet<string>;
  readonly shape: RecordType;
  readonly tags: CedarType | undefined;
  /** The only ids there are, of an enumerated type. */
  readonly ids: ReadonlySet<string> | undefined;
};

/** What is declared of an action. */
export type ActionSchema = {
  readonly uid: EntityUid;
  readonly parents: readonly EntityUid[];
  readonly principals: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly context: RecordType;
};

/** A compiled schema. */
export type CedarSchema = {
  readonly entityTypes: ReadonlyMap<string, EntityTypeSchema>;
  /** By type, then by id. */
  readonly actions: ReadonlyMap<string, ReadonlyMap<string, ActionSchema>>;
};

/** A type in a schema's JSON form. */
export type SchemaTypeJson = {
  readonly type: string;
  readonly name?: string;
  readonly element?: SchemaTypeJson;
  readonly attributes?: { readonly [name: string]: SchemaTypeJson & { readonly required?: boolean } };
};

/** A schema's JSON form, as far as it is read here. */
export type SchemaJson = {
  readonly [namespace: string]: {
    readonly commonTypes?: { readonly [name: string]: SchemaTypeJson };
    readonly entityTypes: {
      readonly [name: string]: {
        readonly memberOfTypes?: readonly string[];
        readonly shape?: SchemaTypeJson;
        readonly tags?: SchemaTypeJson;
        readonly enum?: readonly string[];
      };
    };
    readonly actions: {
      readonly [id: string]: {
        readonly memberOf?: readonly { readonly type?: string; readonly id: string }[];
        readonly appliesTo?: {
          readonly principalTypes: readonly string[];
          readonly resourceTypes: readonly string[];
          readonly context?: SchemaTypeJson;
        };
      };
    };
  };
};

/** Expanding common types deeper than this means a cycle, which an accepted schema has not. */
const MAX_DEPTH = 1_000;

const NO_ATTRIBUTES: RecordType = { kind: "record", attributes: new Map() };

/**
 * Compiles a schema that the official implementation accepts.
 *
 * @throws Error when a name does not resolve: the schema was not accepted
 */
export function compileSchema(json: SchemaJson): CedarSchema {
  const resolver = createResolver(json);
  const parents = new Map<string, string[]>();
  for (const [namespace, { entityTypes }] of Object.entries(json)) {
    for (const [name, { memberOfTypes = [] }] of Object.entries(entityTypes)) {
      parents.set(
        qualify(namespace, name),
        memberOfTypes.map((parent) => resolver.entity(namespace, parent)),
      );
    }
  }
  const entityTypes = new Map<string, EntityTypeSchema>();
  const actions = new Map<string, Map<string, ActionSchema>>();
  for (const [namespace, definition] of Object.entries(json)) {
    for (const [local, { shape, tags, enum: ids }] of Object.entries(definition.entityTypes)) {
      const name = qualify(namespace, local);
      entityTypes.set(name, {
        name,
        ancestors: closure(parents, name),
        shape: shape ? asRecord(resolver.type(namespace, shape)) : NO_ATTRIBUTES,
        tags: tags && resolver.type(namespace, tags),
        ids: ids && new Set(ids),
      });
    }
    const type = qualify(namespace, "Action");
    const declared = new Map<string, ActionSchema>();
    for (const [id, { memberOf = [], appliesTo }] of Object.entries(definition.actions)) {
      declared.set(id, {
        uid: { type, id },
        parents: memberOf.map((parent) => ({ type: resolver.actionType(namespace, parent), id: parent.id })),
        principals: new Set(appliesTo?.principalTypes.map((name) => resolver.entity(namespace, name))),
        resources: new Set(appliesTo?.resourceTypes.map((name) => resolver.entity(namespace, name))),
        context: appliesTo?.context ? asRecord(resolver.type(namespace, appliesTo.context)) : NO_ATTRIBUTES,
      });
    }
    if (declared.size > 0) actions.set(type, declared);
  }
  return { entityTypes, actions };
}

/** Finds a declared action. */
export function findAction(schema: CedarSchema, uid: EntityUid): ActionSchema | undefined {
  return schema.actions.get(uid.type)?.get(uid.id);
}

function qualify(namespace: string, name: string): string {
  return namespace === "" ? name : `${namespace}::${name}`;
}

function closure(parents: ReadonlyMap<string, readonly string[]>, name: string): Set<string> {
  const reached = new Set<string>();
  const pending = [...(parents.get(name) ?? [])];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    pending.push(...(parents.get(next) ?? []));
  }
  return reached;
}

function asRecord(type: CedarType): RecordType {
  if (type.kind !== "record") throw new Error("a shape or context that is not a record");
  return type;
}

type Resolver = {
  type(namespace: string, json: SchemaTypeJson): CedarType;
  entity(namespace: string, name: string): string;
  actionType(namespace: string, parent: { readonly type?: string; readonly id: string }): string;
};

const PRIMITIVES: ReadonlyMap<string, CedarType> = new Map<string, CedarType>([
  ["String", { kind: "string" }],
  ["Long", { kind: "long" }],
  ["Bool", { kind: "boolean" }],
  ["Boolean", { kind: "boolean" }],
  ...["ipaddr", "decimal", "datetime", "duration"].map((name): [string, CedarType] => [
    name,
    { kind: "extension", name },
  ]),
]);

function createResolver(json: SchemaJson): Resolver {
  const common = new Map<string, { namespace: string; json: SchemaTypeJson }>();
  const entities = new Set<string>();
  for (const [namespace, { commonTypes = {}, entityTypes }] of Object.entries(json)) {
    for (const [name, type] of Object.entries(commonTypes))
      common.set(qualify(namespace, name), { namespace, json: type });
    for (const name of Object.keys(entityTypes)) entities.add(qualify(namespace, name));
  }
  const expanded = new Map<string, CedarType>();
  let depth = 0;

  function expand(name: string): CedarType {
    const known = expanded.get(name);
    if (known) return known;
    const definition = common.get(name)!;
    const type = resolve(definition.namespace, definition.json);
    expanded.set(name, type);
    return type;
  }

  /** A name as written means the first of these that is declared: in its namespace, then outside of all, then built in. */
  function named(namespace: string, name: string): CedarType {
    for (const candidate of new Set([qualify(namespace, name), name])) {
      if (common.has(candidate)) return expand(candidate);
      if (entities.has(candidate)) return { kind: "entity", name: candidate };
    }
    const primitive = PRIMITIVES.get(name.replace(/^__cedar::/, ""));
    if (!primitive) throw new Error(`the type ${name} is not declared`);
    return primitive;
  }

  function entity(namespace: string, name: string): string {
    const found = [qualify(namespace, name), name].find((candidate) => entities.has(candidate));
    if (found === undefined) throw new Error(`the entity type ${name} is not declared`);
    return found;
  }

  function resolve(namespace: string, type: SchemaTypeJson): CedarType {
    if (++depth > MAX_DEPTH) throw new Error("the schema's types nest too deeply");
    try {
      switch (type.type) {
        case "Set":
          return { kind: "set", element: resolve(namespace, type.element!) };
        case "Record": {
          const attributes = Object.entries(type.attributes ?? {}).map(([name, attribute]): [string, AttributeType] => [
            name,
            { type: resolve(namespace, attribute), required: attribute.required ?? true },
          ]);
          return { kind: "record", attributes: new Map(attributes) };
        }
        case "Entity":
          return { kind: "entity", name: entity(namespace, type.name!) };
        case "Extension":
          return { kind: "extension", name: type.name! };
        case "EntityOrCommon":
          return named(namespace, type.name!);
        default:
          return named(namespace, type.type);
      }
    } finally {
      depth--;
    }
  }

  return {
    type: resolve,
    entity,
    actionType(namespace, { type, id }) {
      if (type === undefined) return qualify(namespace, "Action");
      const declares = (candidate: string): boolean => {
        const owner = candidate === "Action" ? "" : candidate.replace(/::Action$/, "");
        return Object.hasOwn(json[owner]?.actions ?? {}, id);
      };
      return [qualify(namespace, type), type].find(declares) ?? type;
    },
  };
}
