import { asBool, conjunction, type Run, test } from "./code.ts";
import { compileExpression } from "./compile-expression.ts";
import { readUid } from "./entity-json.ts";
import { type EntityRef, isTypeName } from "./entity-ref.ts";
import { EntityError, PolicyCompileError, quote } from "./errors.ts";
import { createExpressionReader, type ExpressionLimits, type ExpressionReader } from "./expression-json.ts";
import type { ActionScope, EntityScope, ScopeVariable } from "./scope.ts";
import type { EntityUidJson } from "./types.ts";
import { isObject } from "./value-json.ts";

/** A policy ready to run: a static one, or a template's link. */
export interface CompiledPolicy {
  /** Its place in the policy set's `policyIds`. */
  readonly index: number;
  readonly id: string;
  readonly effect: "permit" | "forbid";
  /** Annotations in the policy's order; one without a value has `""`. */
  readonly annotations: ReadonlyMap<string, string>;
  /** The template it is a link of. */
  readonly templateId: string | undefined;
  readonly principal: EntityScope;
  readonly action: ActionScope;
  readonly resource: EntityScope;
  /** Its `when` and `unless` clauses in order. Throws `EvaluationFailure`. */
  readonly condition: Run<boolean>;
  /** Whether there are no clauses. */
  readonly unconditional: boolean;
}

/** What compiling a policy needs from its set. */
export interface PolicySource {
  readonly index: number;
  readonly id: string;
  readonly json: unknown;
  /** The filled slots of a link. */
  readonly slots?: ReadonlyMap<string, EntityRef>;
  readonly templateId?: string;
}

type MakeRef = (type: string, id: string) => EntityRef;

/** Compiles one policy. Throws {@link PolicyCompileError} for anything but a policy it can evaluate exactly. */
export function compilePolicy(source: PolicySource, makeRef: MakeRef, limits: ExpressionLimits): CompiledPolicy {
  const { index, id, json } = source;
  const fail = (reason: string): never => {
    throw new PolicyCompileError(id, reason);
  };
  if (!isObject(json)) return fail("is not an object");
  const { effect } = json;
  if (effect !== "permit" && effect !== "forbid") return fail("effect is neither permit nor forbid");
  const scope = createScopeReader(source, makeRef, fail);
  const conditions = readConditions(json.conditions, createExpressionReader(makeRef, limits, fail));
  const usedSlots = new Set<string>();
  const policy: CompiledPolicy = {
    index,
    id,
    effect,
    annotations: readAnnotations(json.annotations, fail),
    templateId: source.templateId,
    principal: scope.entity("principal", json.principal, usedSlots),
    action: scope.action(json.action),
    resource: scope.entity("resource", json.resource, usedSlots),
    ...conditions,
  };
  for (const slot of source.slots?.keys() ?? []) {
    if (!usedSlots.has(slot)) fail(`the template has no slot ${quote(slot)}`);
  }
  return policy;
}

function readConditions(json: unknown, reader: ExpressionReader): Pick<CompiledPolicy, "condition" | "unconditional"> {
  const clauses = json === undefined ? [] : reader.array(json);
  const parts = clauses.map((clause) => {
    const kind = reader.field(clause, "kind");
    const body = compileExpression(reader.field(clause, "body"), reader);
    if (kind === "when") return body;
    if (kind !== "unless") return reader.fail("a condition is neither when nor unless");
    const holds = asBool(body);
    return test((env) => !holds(env));
  });
  return { condition: asBool(conjunction(parts)), unconditional: parts.length === 0 };
}

function readAnnotations(json: unknown, fail: (reason: string) => never): ReadonlyMap<string, string> {
  if (json === undefined) return new Map();
  if (!isObject(json)) return fail("annotations are not an object");
  return new Map(
    Object.entries(json).map(([name, value]) => {
      if (typeof value !== "string" && value !== null) fail("an annotation is not a string");
      return [name, value === null ? "" : String(value)];
    }),
  );
}

interface ScopeReader {
  entity(variable: ScopeVariable, json: unknown, usedSlots: Set<string>): EntityScope;
  action(json: unknown): ActionScope;
}

function createScopeReader(source: PolicySource, makeRef: MakeRef, fail: (reason: string) => never): ScopeReader {
  function readRef(json: unknown): EntityRef {
    try {
      const { type, id } = readUid(json as EntityUidJson);
      return makeRef(type, id);
    } catch (error) {
      return fail(error instanceof EntityError ? error.reason : "malformed scope");
    }
  }

  function target(variable: ScopeVariable, json: unknown, usedSlots: Set<string>): EntityRef {
    if (!isObject(json)) return fail("malformed scope");
    const { entity, slot } = json;
    if ((entity === undefined) === (slot === undefined)) return fail("a scope names either an entity or a slot");
    if (entity !== undefined) return readRef(entity);
    if (slot !== `?${variable}`) return fail(`the ${variable} scope has an unknown slot`);
    const value = source.slots?.get(slot);
    if (value === undefined) return fail(`slot ${slot} is not filled`);
    usedSlots.add(slot);
    return value;
  }

  return {
    entity(variable, json, usedSlots) {
      if (!isObject(json)) return fail(`${variable} scope is not an object`);
      switch (json.op) {
        case "All":
          return { op: "any" };
        case "==":
          return { op: "equal", target: target(variable, json, usedSlots) };
        case "in":
          return { op: "within", target: target(variable, json, usedSlots) };
        case "is": {
          const type = json.entity_type;
          if (typeof type !== "string" || !isTypeName(type)) return fail(`${variable} scope has no entity type`);
          if (json.in === undefined) return { op: "type", type };
          return { op: "within", type, target: target(variable, json.in, usedSlots) };
        }
        default:
          return fail(`${variable} scope has an unknown operator`);
      }
    },
    action(json) {
      if (!isObject(json)) return fail("action scope is not an object");
      switch (json.op) {
        case "All":
          return { op: "any" };
        case "==":
          return { op: "equal", target: readRef(json.entity) };
        case "in": {
          const { entity, entities } = json;
          if ((entity === undefined) === (entities === undefined)) return fail("action scope names no entity");
          if (entity !== undefined) return { op: "within", targets: [readRef(entity)] };
          if (!Array.isArray(entities)) return fail("action scope is malformed");
          return { op: "within", targets: entities.map(readRef) };
        }
        default:
          return fail("action scope has an unknown operator");
      }
    },
  };
}
