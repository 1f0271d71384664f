import type { EntityUid } from "../cedar/types.ts";
import type { PolicyState } from "./revision-store.ts";

/** A change of resident entities, by name: the entities themselves are in the repository. */
export interface EntitiesChanged {
  /** Revision that the change led to. */
  readonly revision: number;
  /** Revision before it. */
  readonly previous: number;
  readonly put: readonly EntityUid[];
  readonly deleted: readonly EntityUid[];
}

/** Tells the other replicas that something in the store is different now. They find out by themselves, too, but later. */
export interface ChangeAnnouncer {
  stateChanged(state: PolicyState, previousActive: string): Promise<void>;
  entitiesChanged(change: EntitiesChanged): Promise<void>;
}
