import type { Engine } from "../cedar/engine.ts";
import type { EntityStore } from "../cedar/entity-store.ts";
import type { RequestValidator } from "./request-validator.ts";
import type { CedarSchema } from "./schema.ts";

/** One policy set with its schema and entities, compiled, immutable: a request sees one of them whole. */
export interface Snapshot {
  /** `<sequence>-<first 12 hex digits of the content hash>`. */
  readonly revision: string;
  readonly engine: Engine;
  readonly schema: CedarSchema | undefined;
  /** The schema's JSON form; empty when there is none. Snapshots of equal schemas can have their entities in common. */
  readonly schemaJson: string;
  /** Checks requests against the schema; absent when the set has no schema. */
  readonly requestValidator: RequestValidator | undefined;
  /** The entities that came with the policies, below those that were put: what a deleted one falls back to. */
  readonly own: EntityStore;
}
