import type { CedarJsonObject, EntityJson, EntityUid } from "../cedar/types.ts";

/** One question: may this principal perform this action on this resource? */
export interface Query {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  /** Facts in Cedar's JSON form; empty when the caller gave none. */
  readonly context: CedarJsonObject;
  /** Entities of this question alone, laid over the resident ones. */
  readonly entities: readonly EntityJson[];
}
