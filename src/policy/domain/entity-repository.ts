import type { EntityJson, EntityUid } from "../cedar/types.ts";
import type { EntityChange } from "./entity-change.ts";

/** Entities as they were put, and the revision they were read at. */
export interface StoredEntities {
  readonly revision: number;
  readonly entities: readonly EntityJson[];
}

/**
 * Keeps the entities that were put. Each method is atomic.
 *
 * All throw ServiceError UNAVAILABLE (STORE_UNAVAILABLE) when the store cannot be used.
 */
export interface EntityRepository {
  /** Counts the changes; 0 before the first. */
  revision(): Promise<number>;
  /** All entities. */
  load(): Promise<StoredEntities>;
  /** Those of the named that there are. */
  read(uids: readonly EntityUid[]): Promise<StoredEntities>;
  /** Applies a batch if the revision is still `expected`, and answers the next; undefined when it is not. */
  change(expected: number, change: EntityChange): Promise<number | undefined>;
}
