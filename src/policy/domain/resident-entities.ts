import { ServiceError } from "../../shared/service-error.ts";
import type { EntityStore } from "../cedar/entity-store.ts";
import type { EntityJson, EntityUid } from "../cedar/types.ts";
import type { ActivePolicies } from "./active-policies.ts";
import { untilFirst } from "./attempts.ts";
import type { ChangeAnnouncer, EntitiesChanged } from "./change-announcer.ts";
import { type EntityChange, withEntityChange } from "./entity-change.ts";
import type { EntityRepository, StoredEntities } from "./entity-repository.ts";
import { findAction } from "./schema.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Turns } from "./turns.ts";

export interface ResidentEntitiesDependencies {
  readonly repository: EntityRepository;
  readonly policies: ActivePolicies;
  readonly announcer: ChangeAnnouncer;
  /** Shared with the policies' lifecycle: one change of the snapshots at a time. */
  readonly turns: Turns;
}

/** A page of entities. */
export interface EntityPage {
  readonly entities: readonly EntityJson[];
  /** Revision of the entities that were put. */
  readonly revision: number;
  /** The last entity of the page, when there are more after it. */
  readonly next: EntityUid | undefined;
}

/** The entities that were put, laid over those that came with the policies, on this replica as in the store. */
export class ResidentEntities {
  readonly #dependencies: ResidentEntitiesDependencies;
  /** What this replica has applied; -1 before it has read the store. */
  #revision = -1;
  /** Those that were put, by key. */
  #put = new Map<string, EntityUid>();

  constructor(dependencies: ResidentEntitiesDependencies) {
    this.#dependencies = dependencies;
  }

  /** Revision that this replica has applied; 0 before it has read the store. */
  get revision(): number {
    return Math.max(0, this.#revision);
  }

  /**
   * Makes one atomic batch of changes and answers the revision that it led to.
   *
   * @throws ServiceError INVALID_ARGUMENT naming what the schema or the bounds do not admit; UNAVAILABLE without the store
   *   or without active policies; ABORTED when other replicas keep coming first.
   */
  change(change: EntityChange): Promise<number> {
    const { repository, policies, announcer, turns } = this.#dependencies;
    return turns(async () => {
      policies.require("");
      return await untilFirst(async (tried) => {
        if (this.#revision < 0 || tried > 0) await this.#catchUp();
        const commit = policies.prepareEntityChange(change);
        const previous = this.#revision;
        const revision = await repository.change(previous, change);
        if (revision === undefined) return undefined;
        commit();
        this.#applied(change, revision);
        await announcer.entitiesChanged({
          revision,
          previous,
          put: change.puts.map(({ uid }) => uid as EntityUid),
          deleted: change.deletes,
        });
        return revision;
      });
    });
  }

  /** Applies what another replica has changed. Throws what the store throws, and INVALID_ARGUMENT as {@link change}. */
  follow(changed: EntitiesChanged): Promise<void> {
    const { repository, policies, turns } = this.#dependencies;
    return turns(async () => {
      if (changed.revision <= this.#revision) return;
      if (changed.previous === this.#revision) {
        const { revision, entities } = await repository.read(changed.put);
        if (revision === changed.revision) {
          const change = { puts: entities, deletes: changed.deleted };
          policies.prepareEntityChange(change)();
          this.#applied(change, revision);
          return;
        }
      }
      await this.#catchUp();
    });
  }

  /** Reads the store if it is ahead of this replica. */
  refresh(): Promise<void> {
    const { repository, turns } = this.#dependencies;
    return turns(async () => {
      if ((await repository.revision()) !== this.#revision) await this.#catchUp();
    });
  }

  /**
   * A snapshot of another policy set with the entities that were put. To be called in a turn.
   *
   * @throws ServiceError FAILED_PRECONDITION when the set's schema does not admit them.
   */
  async layOver(snapshot: Snapshot, beside: readonly EntityJson[] = []): Promise<Snapshot> {
    const { policies } = this.#dependencies;
    const stored = await this.#catchUp();
    const { active } = policies;
    // The same schema, and nothing of its own: the entities are the same, too, and are held in memory once.
    if (active !== undefined && active.schemaJson === snapshot.schemaJson && ownsOnlyActions(active, snapshot)) {
      return { ...snapshot, engine: snapshot.engine.over(active.engine.entities) };
    }
    try {
      const based = beside.length === 0 ? snapshot : withEntityChange(snapshot, { puts: beside, deletes: [] });
      const own = based.engine.entities;
      return withEntityChange({ ...based, own }, { puts: stored.entities, deletes: [] });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      throw new ServiceError("FAILED_PRECONDITION", "The schema does not admit the resident entities.", {
        reason: "ENTITIES_NOT_ADMITTED",
        violations: error.violations,
        cause: error,
      });
    }
  }

  /** The named entities that are resident, in the order asked. */
  read(uids: readonly EntityUid[]): EntityPage {
    const { entities } = this.#dependencies.policies.require("").engine;
    return { entities: uids.flatMap((uid) => entities.get(uid) ?? []), revision: this.revision, next: undefined };
  }

  /** Up to `limit` resident entities after one, ordered by type and id; the schema's actions are not among them. */
  list(after: EntityUid | undefined, limit: number): EntityPage {
    const { schema, engine } = this.#dependencies.policies.require("");
    const sorted = sortedUids(engine.entities, (uid) => schema !== undefined && findAction(schema, uid) !== undefined);
    let from = 0;
    if (after !== undefined) {
      for (let high = sorted.length; from < high; ) {
        const middle = (from + high) >> 1;
        if (compare(sorted[middle] as EntityUid, after) <= 0) from = middle + 1;
        else high = middle;
      }
    }
    const page = sorted.slice(from, from + limit);
    return {
      entities: page.flatMap((uid) => engine.entities.get(uid) ?? []),
      revision: this.revision,
      next: from + limit < sorted.length ? page.at(-1) : undefined,
    };
  }

  /** Brings every snapshot to what is in the store. */
  async #catchUp(): Promise<StoredEntities> {
    const { repository, policies } = this.#dependencies;
    const stored = await repository.load();
    if (stored.revision !== this.#revision) {
      const put = new Map(stored.entities.map(({ uid }) => [keyOf(uid as EntityUid), uid as EntityUid]));
      const gone = [...this.#put].flatMap(([key, uid]) => (put.has(key) ? [] : [uid]));
      policies.prepareEntityChange({ puts: stored.entities, deletes: gone })();
      this.#put = put;
      this.#revision = stored.revision;
    }
    return stored;
  }

  #applied({ puts, deletes }: EntityChange, revision: number): void {
    for (const uid of deletes) this.#put.delete(keyOf(uid));
    for (const { uid } of puts) this.#put.set(keyOf(uid as EntityUid), uid as EntityUid);
    this.#revision = revision;
  }
}

function keyOf({ type, id }: EntityUid): string {
  return `${type}\n${id}`;
}

function ownsOnlyActions(...snapshots: readonly Snapshot[]): boolean {
  return snapshots.every(({ own, schema }) => {
    let actions = 0;
    for (const byId of schema?.actions.values() ?? []) actions += byId.size;
    return own.size === actions;
  });
}

const sortedByStore = new WeakMap<EntityStore, readonly EntityUid[]>();

function sortedUids(entities: EntityStore, isLeftOut: (uid: EntityUid) => boolean): readonly EntityUid[] {
  const known = sortedByStore.get(entities);
  if (known !== undefined) return known;
  const uids = Array.from(entities, ({ uid }) => uid as EntityUid).filter((uid) => !isLeftOut(uid));
  const sorted = uids.sort(compare);
  sortedByStore.set(entities, sorted);
  return sorted;
}

function compare(a: EntityUid, b: EntityUid): number {
  if (a.type !== b.type) return a.type < b.type ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
