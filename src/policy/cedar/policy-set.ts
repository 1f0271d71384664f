import { type CompiledPolicy, compilePolicy } from "./compile-policy.ts";
import { readUid } from "./entity-json.ts";
import { EntityRef } from "./entity-ref.ts";
import { EntityError, PolicyCompileError } from "./errors.ts";
import { DEFAULT_EXPRESSION_LIMITS, type ExpressionLimits } from "./expression-json.ts";
import { createPolicyIndex, type PolicyIndex } from "./policy-index.ts";
import type { PolicySetJson, TemplateLinkJson } from "./types.ts";
import { isObject } from "./value-json.ts";

/** Bounds on a policy set. */
export interface PolicySetOptions extends Partial<ExpressionLimits> {
  /** Most policies, links included. Default 100,000. */
  readonly maxPolicies?: number;
}

/** A policy set compiled and indexed. Immutable; any number of engines may share it. */
export interface CompiledPolicySet {
  /** The ids of policies and links: what a decision's indexes point into. */
  readonly policyIds: readonly string[];
  readonly policies: readonly CompiledPolicy[];
  readonly index: PolicyIndex;
  /** The policies' own reference for an entity they name, or `undefined`. */
  literal(type: string, id: string): EntityRef | undefined;
}

/**
 * Compiles a policy set: static policies, and each template's links. Templates themselves decide nothing, but are checked
 * through their links.
 *
 * Throws {@link PolicyCompileError} for the first policy that is malformed, too deep, or uses what the engine does not
 * know, and for an id used twice. It never yields part of a set.
 */
export function createPolicySet(json: PolicySetJson, options: PolicySetOptions = {}): CompiledPolicySet {
  const limits: ExpressionLimits = { ...DEFAULT_EXPRESSION_LIMITS, ...definedLimits(options) };
  const maxPolicies = options.maxPolicies ?? 100_000;
  const literals = new Map<string, Map<string, EntityRef>>();
  const policies: CompiledPolicy[] = [];
  const ids = new Set<string>();
  const templates = new Map(Object.entries(json.templates ?? {}));

  function literal(type: string, id: string): EntityRef {
    const byId = literals.get(type) ?? new Map<string, EntityRef>();
    literals.set(type, byId);
    const ref = byId.get(id) ?? new EntityRef(type, id, true);
    byId.set(id, ref);
    return ref;
  }

  function add(
    id: string,
    policy: unknown,
    link?: { templateId: string; slots: ReadonlyMap<string, EntityRef> },
  ): void {
    if (ids.has(id) || templates.has(id)) throw new PolicyCompileError(id, "the id is used twice");
    if (policies.length >= maxPolicies) throw new PolicyCompileError(id, `more than ${maxPolicies} policies`);
    ids.add(id);
    policies.push(compilePolicy({ index: policies.length, id, json: policy, ...link }, literal, limits));
  }

  for (const [id, policy] of Object.entries(json.staticPolicies ?? {})) add(id, policy);
  for (const link of json.templateLinks ?? []) {
    const { templateId, newId } = checkLink(link);
    const template = templates.get(templateId);
    if (template === undefined) throw new PolicyCompileError(newId, "links a template that does not exist");
    add(newId, template, { templateId, slots: readSlots(link, literal) });
  }
  return {
    policyIds: policies.map((policy) => policy.id),
    policies,
    index: createPolicyIndex(policies),
    literal: (type, id) => literals.get(type)?.get(id),
  };
}

function definedLimits({ maxDepth, maxNodes }: PolicySetOptions): Partial<ExpressionLimits> {
  return { ...(maxDepth !== undefined && { maxDepth }), ...(maxNodes !== undefined && { maxNodes }) };
}

function checkLink(link: TemplateLinkJson): TemplateLinkJson {
  const ok =
    isObject(link) && typeof link.templateId === "string" && typeof link.newId === "string" && isObject(link.values);
  if (!ok) throw new PolicyCompileError("", "a template link is malformed");
  return link;
}

function readSlots(link: TemplateLinkJson, makeRef: (type: string, id: string) => EntityRef): Map<string, EntityRef> {
  try {
    return new Map(
      Object.entries(link.values).map(([slot, json]) => {
        const { type, id } = readUid(json);
        return [slot, makeRef(type, id)];
      }),
    );
  } catch (error) {
    throw new PolicyCompileError(
      link.newId,
      error instanceof EntityError ? error.reason : "a slot's value is malformed",
    );
  }
}
