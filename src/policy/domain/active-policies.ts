import { ServiceError } from "../../shared/service-error.ts";
import type { EntityStore } from "../cedar/entity-store.ts";
import { isAdminAction } from "./admin-policies.ts";
import { type EntityChange, withEntityChange } from "./entity-change.ts";
import type { Snapshot } from "./snapshot.ts";

/** How many compiled snapshots besides the active one can be pinned by requests. */
const retained = 16;
/** How many revisions may wait to be fetched for requests that pin them. */
const maxFetching = 16;

/**
 * The snapshots that requests are evaluated with: the active one, the shadow, and a few that requests may pin by revision.
 *
 * Reading is synchronous, so a request that has its snapshot is not touched by a change.
 */
export class ActivePolicies {
  #active: Snapshot | undefined;
  #shadow: Snapshot | undefined;
  readonly #byRevision = new Map<string, Snapshot>();
  #builtIn: Snapshot | undefined;
  readonly #fetching = new Map<string, Promise<Snapshot>>();
  #fetch: ((revision: string) => Promise<Snapshot | undefined>) | undefined;
  #listeners: readonly (() => void)[] = [];

  get active(): Snapshot | undefined {
    return this.#active;
  }

  /** The candidate that is evaluated beside the active one; undefined when there is none. */
  get shadow(): Snapshot | undefined {
    return this.#shadow;
  }

  /** Sets the built-in policies, which decide on administrative actions. */
  setBuiltIn(snapshot: Snapshot): void {
    this.#builtIn = snapshot;
  }

  /** What decides on an action when `policies` are the caller's choice. @throws ServiceError UNAVAILABLE until it is loaded. */
  deciding(action: { readonly type: string } | undefined, policies: Snapshot): Snapshot {
    if (!isAdminAction(action)) return policies;
    if (this.#builtIn === undefined) throw notLoaded();
    return this.#builtIn;
  }

  /** Where revisions come from that are not held: pinning one has it compiled. */
  fetchWith(fetch: (revision: string) => Promise<Snapshot | undefined>): void {
    this.#fetch = fetch;
  }

  /**
   * The snapshot of a revision that is held; the active one when `revision` is empty.
   *
   * @throws ServiceError UNAVAILABLE when nothing is loaded yet, NOT_FOUND when the revision is not held.
   */
  require(revision: string): Snapshot {
    if (revision === "") {
      if (this.#active === undefined) throw notLoaded();
      return this.#active;
    }
    const snapshot = this.held(revision);
    if (snapshot === undefined) throw revisionNotFound();
    return snapshot;
  }

  /** The snapshot of a revision, at once when it is held, otherwise once it is compiled. Throws and rejects as {@link require}. */
  obtain(revision: string): Snapshot | Promise<Snapshot> {
    if (revision === "" || this.#fetch === undefined || this.#byRevision.has(revision)) return this.require(revision);
    return this.#fetching.get(revision) ?? this.#begin(revision, this.#fetch);
  }

  /** The snapshot of a revision, if it is held. */
  held(revision: string): Snapshot | undefined {
    return (
      [this.#active, this.#shadow].find((snapshot) => snapshot?.revision === revision) ?? this.#byRevision.get(revision)
    );
  }

  /** Makes a snapshot the active one; it can be pinned from here on. */
  activate(snapshot: Snapshot): void {
    this.#active = snapshot;
    this.hold(snapshot);
    for (const listener of this.#listeners) listener();
  }

  /** Sets or ends the shadow. */
  setShadow(snapshot: Snapshot | undefined): void {
    this.#shadow = snapshot;
  }

  /** Makes a snapshot one that requests can pin. */
  hold(snapshot: Snapshot): void {
    this.#byRevision.delete(snapshot.revision);
    this.#byRevision.set(snapshot.revision, snapshot);
    for (const revision of this.#byRevision.keys()) {
      if (this.#byRevision.size <= retained + 1) break;
      if (revision !== this.#active?.revision) this.#byRevision.delete(revision);
    }
  }

  /**
   * Prepares a change of the resident entities of all snapshots; the function answered makes it, at once. A pinned one whose
   * schema does not admit the change is then held no longer, and a shadow ends.
   *
   * @throws ServiceError INVALID_ARGUMENT when the active one does not admit it.
   */
  prepareEntityChange(change: EntityChange): () => void {
    const shared = new Map<EntityStore, EntityStore>();
    const active = this.#active && withEntityChange(this.#active, change, shared);
    const attempt = (snapshot: Snapshot): Snapshot | undefined => {
      if (snapshot === this.#active) return active;
      try {
        return withEntityChange(snapshot, change, shared);
      } catch (error) {
        if (error instanceof ServiceError) return undefined;
        throw error;
      }
    };
    const shadow = this.#shadow && attempt(this.#shadow);
    const held = [...this.#byRevision].flatMap(([revision, snapshot]) => {
      const changed = snapshot === this.#shadow ? shadow : attempt(snapshot);
      return changed === undefined ? [] : [[revision, changed] as const];
    });
    return () => {
      this.#active = active;
      this.#shadow = shadow;
      this.#byRevision.clear();
      for (const [revision, snapshot] of held) this.#byRevision.set(revision, snapshot);
      for (const listener of this.#listeners) listener();
    };
  }

  /** Forgets the snapshots that are neither active nor the shadow: what they were built from has changed. */
  forgetPinned(): void {
    this.#byRevision.clear();
    if (this.#active !== undefined) this.#byRevision.set(this.#active.revision, this.#active);
  }

  /** Calls `listener` after each change of the active policies or the entities. Answers how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  #begin(revision: string, fetch: (revision: string) => Promise<Snapshot | undefined>): Promise<Snapshot> {
    if (this.#fetching.size >= maxFetching) {
      throw new ServiceError("RESOURCE_EXHAUSTED", "Too many policy revisions are being loaded.", {
        reason: "TOO_MANY_REVISIONS_LOADING",
        retryAfterMs: 1_000,
      });
    }
    const fetching = fetch(revision)
      .then((snapshot) => {
        if (snapshot === undefined) throw revisionNotFound();
        this.hold(snapshot);
        return snapshot;
      })
      .finally(() => this.#fetching.delete(revision));
    this.#fetching.set(revision, fetching);
    return fetching;
  }
}

function notLoaded(): ServiceError {
  return new ServiceError("UNAVAILABLE", "No policy set is loaded yet.", {
    reason: "POLICIES_NOT_LOADED",
    retryAfterMs: 1_000,
  });
}

/** NOT_FOUND of a revision that there is not. */
export function revisionNotFound(): ServiceError {
  return new ServiceError("NOT_FOUND", "There is no such policy revision.", { reason: "REVISION_NOT_FOUND" });
}
