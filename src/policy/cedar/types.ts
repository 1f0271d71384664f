/**
 * The JSON shapes the engine reads: Cedar's JSON policy format (EST), entity JSON and context JSON.
 *
 * Longs may be `bigint`, so that values beyond 2^53 arrive exact. Extension values and entity references are in their
 * explicit forms (`__extn`, `__entity`); forms that need a schema to be read are normalized before they come here.
 *
 * @see https://docs.cedarpolicy.com/policies/json-format.html
 * @see https://docs.cedarpolicy.com/auth/entities-syntax.html
 */

/** A JSON value whose integers may be exact `bigint`s. */
export type CedarJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly CedarJson[]
  | { readonly [key: string]: CedarJson };

/** A JSON object of {@link CedarJson} values, for example a request's context. */
export type CedarJsonObject = { readonly [key: string]: CedarJson };

/** An entity's identity, written `Type::"id"` in policies. */
export interface EntityUid {
  readonly type: string;
  readonly id: string;
}

/** An entity uid, plain or in its escape. */
export type EntityUidJson = EntityUid | { readonly __entity: EntityUid };

/** One entity: attributes, tags and direct parents. */
export interface EntityJson {
  readonly uid: EntityUidJson;
  readonly attrs?: CedarJsonObject;
  readonly parents?: readonly EntityUidJson[];
  readonly tags?: CedarJsonObject;
}

/** An expression node: an object of exactly one key, the operator's name. */
export type ExpressionJson = { readonly [operator: string]: unknown };

/** A `when` or `unless` clause. */
export interface ConditionJson {
  readonly kind: "when" | "unless";
  readonly body: ExpressionJson;
}

/** What `== ` and `in` constrain to: an entity, or a template's slot. */
export interface ScopeTargetJson {
  readonly entity?: EntityUidJson;
  readonly slot?: string;
}

/** The scope of a principal or a resource. */
export type ScopeJson =
  | { readonly op: "All" }
  | ({ readonly op: "==" | "in" } & ScopeTargetJson)
  | { readonly op: "is"; readonly entity_type: string; readonly in?: ScopeTargetJson };

/** The scope of an action. */
export type ActionScopeJson =
  | { readonly op: "All" }
  | { readonly op: "=="; readonly entity: EntityUidJson }
  | { readonly op: "in"; readonly entity?: EntityUidJson; readonly entities?: readonly EntityUidJson[] };

/** A static policy, or a template when its scope has slots. */
export interface PolicyJson {
  readonly effect: "permit" | "forbid";
  readonly principal: ScopeJson;
  readonly action: ActionScopeJson;
  readonly resource: ScopeJson;
  readonly conditions?: readonly ConditionJson[];
  readonly annotations?: { readonly [name: string]: string | null };
}

/** A template's instance: `newId` is the policy's id, `values` fill `?principal` and `?resource`. */
export interface TemplateLinkJson {
  readonly templateId: string;
  readonly newId: string;
  readonly values: { readonly [slot: string]: EntityUidJson };
}

/** A whole policy set. */
export interface PolicySetJson {
  readonly staticPolicies?: { readonly [id: string]: PolicyJson };
  readonly templates?: { readonly [id: string]: PolicyJson };
  readonly templateLinks?: readonly TemplateLinkJson[];
}
