import { createEngine } from "../cedar/engine.ts";
import type { EntityStore } from "../cedar/entity-store.ts";
import type { CompiledPolicySet } from "../cedar/policy-set.ts";
import { createRequestValidator } from "./request-validator.ts";
import type { CedarSchema } from "./schema.ts";
import type { Snapshot } from "./snapshot.ts";

/** A policy set that was parsed, validated and compiled. */
export interface LoadedPolicies {
  readonly compiled: { readonly policySet: CompiledPolicySet; readonly entities: EntityStore };
  readonly schema: { readonly schema: CedarSchema; readonly json: object } | undefined;
  /** SHA-256 of the content, in hex. */
  readonly contentHash: string;
}

/** Names a revision: the order it came in, and what it holds. */
export function revisionId(sequence: number, contentHash: string): string {
  return `${sequence}-${contentHash.slice(0, 12)}`;
}

/** Makes a policy set ready for requests under the name of a revision, over the entities that came with it. */
export function buildSnapshot(
  loaded: LoadedPolicies,
  revision: string,
  options: { readonly strictForbid: boolean },
): Snapshot {
  const schema = loaded.schema?.schema;
  return {
    revision,
    engine: createEngine({ ...loaded.compiled, options }),
    schema,
    schemaJson: loaded.schema === undefined ? "" : JSON.stringify(loaded.schema.json),
    requestValidator: schema === undefined ? undefined : createRequestValidator(schema),
    own: loaded.compiled.entities,
  };
}
