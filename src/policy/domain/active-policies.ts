import { ServiceError } from "../../shared/service-error.ts";
import type { Snapshot } from "./snapshot.ts";

/** How many compiled snapshots besides the active one can be pinned by requests. */
const retained = 16;

/**
 * The snapshots that requests are evaluated with: the active one, and a few that requests may pin by revision.
 *
 * Reading is synchronous, so a request that has its snapshot is not touched by a change.
 */
export class ActivePolicies {
  #active: Snapshot | undefined;
  readonly #byRevision = new Map<string, Snapshot>();
  readonly #listeners = new Set<(active: Snapshot) => void>();

  get active(): Snapshot | undefined {
    return this.#active;
  }

  /**
   * The snapshot of a revision; of the active one when `revision` is empty.
   *
   * @throws ServiceError UNAVAILABLE when nothing is loaded yet, NOT_FOUND when the revision is not held.
   */
  require(revision: string): Snapshot {
    if (revision === "") {
      if (this.#active === undefined) {
        throw new ServiceError("UNAVAILABLE", "No policy set is loaded yet.", {
          reason: "POLICIES_NOT_LOADED",
          retryAfterMs: 1_000,
        });
      }
      return this.#active;
    }
    const snapshot = this.#byRevision.get(revision);
    if (snapshot === undefined) {
      throw new ServiceError("NOT_FOUND", "The policy revision is not held by this server.", {
        reason: "REVISION_NOT_FOUND",
      });
    }
    return snapshot;
  }

  /** Makes a snapshot the active one; it can be pinned from here on. */
  activate(snapshot: Snapshot): void {
    this.#active = snapshot;
    this.#byRevision.delete(snapshot.revision);
    this.#byRevision.set(snapshot.revision, snapshot);
    for (const revision of this.#byRevision.keys()) {
      if (this.#byRevision.size <= retained + 1) break;
      this.#byRevision.delete(revision);
    }
    for (const listener of this.#listeners) listener(snapshot);
  }

  /** Calls the listener after each activation, until the answered function is called. */
  onActivate(listener: (active: Snapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
