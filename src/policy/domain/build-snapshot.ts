import { createEngine } from "../cedar/engine.ts";
import type { EntityStore } from "../cedar/entity-store.ts";
import type { CompiledPolicySet } from "../cedar/policy-set.ts";
import { createRequestValidator } from "./request-validator.ts";
import type { CedarSchema } from "./schema.ts";
import type { Snapshot } from "./snapshot.ts";

/** A policy set that was parsed, validated and compiled. */
export interface LoadedPolicies {
  readonly compiled: { readonly policySet: CompiledPolicySet; readonly entities: EntityStore };
  readonly schema: { readonly schema: CedarSchema } | undefined;
  /** SHA-256 of the content, in hex. */
  readonly contentHash: string;
}

/** Makes a policy set ready for requests, as the `sequence`-th revision. */
export function buildSnapshot(
  loaded: LoadedPolicies,
  sequence: number,
  options: { readonly strictForbid: boolean },
): Snapshot {
  return {
    revision: `${sequence}-${loaded.contentHash.slice(0, 12)}`,
    engine: createEngine({ ...loaded.compiled, options }),
    strictForbid: options.strictForbid,
    requestValidator: loaded.schema === undefined ? undefined : createRequestValidator(loaded.schema.schema),
  };
}
