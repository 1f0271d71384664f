import type { Env, Run } from "./code.ts";
import type { EntityRef } from "./entity-ref.ts";
import { sameEntity } from "./entity-ref.ts";
import { isWithin } from "./operators.ts";

/** What a policy's scope asks of its principal or resource, slots filled. */
export type EntityScope =
  | { readonly op: "any" }
  | { readonly op: "equal"; readonly target: EntityRef }
  | { readonly op: "within"; readonly target: EntityRef; readonly type?: string }
  | { readonly op: "type"; readonly type: string };

/** What a policy's scope asks of its action: to be or descend from one of `targets`, or to be the one. */
export type ActionScope =
  | { readonly op: "any" }
  | { readonly op: "equal"; readonly target: EntityRef }
  | { readonly op: "within"; readonly targets: readonly EntityRef[] };

/** Where a scope test finds its entity. */
export type ScopeVariable = "principal" | "resource";

/** Compiles the test of a principal or resource scope, or `undefined` when it always holds. Never fails. */
export function entityScopeTest(variable: ScopeVariable, scope: EntityScope): Run<boolean> | undefined {
  const entity = variable === "principal" ? (env: Env) => env.principal : (env: Env) => env.resource;
  switch (scope.op) {
    case "any":
      return undefined;
    case "equal": {
      const { target } = scope;
      return (env) => sameEntity(entity(env), target);
    }
    case "type": {
      const { type } = scope;
      return (env) => entity(env).type === type;
    }
    case "within": {
      const { target, type } = scope;
      if (type === undefined) return (env) => isWithin(entity(env), target, env.view);
      return (env) => entity(env).type === type && isWithin(entity(env), target, env.view);
    }
  }
}
