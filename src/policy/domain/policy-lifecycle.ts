import { ServiceError } from "../../shared/service-error.ts";
import type { EntityJson } from "../cedar/types.ts";
import type { Diagnostic } from "../control/diagnostics.ts";
import { type ActivePolicies, revisionNotFound } from "./active-policies.ts";
import { untilFirst } from "./attempts.ts";
import { buildSnapshot, type LoadedPolicies } from "./build-snapshot.ts";
import type { ChangeAnnouncer } from "./change-announcer.ts";
import { contentHash, type PolicySource } from "./policy-source.ts";
import type { ResidentEntities } from "./resident-entities.ts";
import { initialState, type PolicyState, type RevisionStore, type StoredRevision } from "./revision-store.ts";
import { findAction } from "./schema.ts";
import { type Comparison, emptyReport, mergeReports, type Shadow, type ShadowReport } from "./shadow.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Turns } from "./turns.ts";

/** How far back a rollback can go. */
const maxHistory = 100;

export interface PolicyLifecycleDependencies {
  readonly revisions: RevisionStore;
  readonly entities: ResidentEntities;
  readonly policies: ActivePolicies;
  readonly shadow: Shadow;
  readonly announcer: ChangeAnnouncer;
  readonly turns: Turns;
  /** Parses, validates and compiles; rejects with every finding when any is an error. */
  readonly compile: (source: PolicySource) => Promise<CompiledSource>;
  /** Whether the active policies are those of a directory, rather than of the store. */
  readonly followsDirectory: boolean;
  /** Told of each set that becomes active, whoever activated it. */
  readonly onActivated: (snapshot: Snapshot) => void;
  readonly clock: () => number;
  /** Names this replica. */
  readonly replica: string;
}

/** What compiling a source comes to. */
export type CompiledSource = LoadedPolicies & { readonly warnings: readonly Diagnostic[] };

/** A stored revision, and what its sources' check found to be doubtful. */
export interface PublishedRevision {
  readonly revision: StoredRevision;
  readonly warnings: readonly Diagnostic[];
}

/** What activating is bound to. */
export interface ActivationConditions {
  /** Revision that must be active; empty for any. */
  readonly expectedActive?: string;
  /** Most that the candidate may have differed in the shadow, as a share of what was compared. */
  readonly maxShadowDifference?: number | undefined;
}

/** The active revision, and the one before. */
export interface Activation {
  readonly active: string;
  readonly previous: string;
}

/** Publishes, activates, rolls back and shadows policy revisions, on this replica and, by way of the store, on all. */
export class PolicyLifecycle {
  readonly #dependencies: PolicyLifecycleDependencies;
  #state: PolicyState = initialState;

  constructor(dependencies: PolicyLifecycleDependencies) {
    this.#dependencies = dependencies;
    dependencies.policies.fetchWith((revision) => this.#load(revision));
  }

  /** Which revisions are in use on this replica; empty for none. */
  get marks(): { readonly active: string; readonly shadow: string } {
    const { active, shadow } = this.#dependencies.policies;
    return { active: active?.revision ?? "", shadow: shadow?.revision ?? "" };
  }

  /** Compiles a source, whose errors it rejects with, and stores it. */
  async publish(source: PolicySource, comment: string): Promise<PublishedRevision> {
    const { revisions, compile, clock } = this.#dependencies;
    const { compiled, warnings } = await compile(source);
    const revision = await revisions.publish({
      contentHash: contentHash(source),
      createTime: clock(),
      comment,
      policyCount: compiled.policySet.policyIds.length,
      source,
    });
    return { revision, warnings };
  }

  /** @throws ServiceError NOT_FOUND; FAILED_PRECONDITION when a condition does not hold; ABORTED. */
  async activate(revision: string, conditions: ActivationConditions = {}): Promise<Activation> {
    this.refuseInDirectoryMode();
    if (conditions.maxShadowDifference !== undefined) {
      await this.#requireSmallDifference(revision, conditions.maxShadowDifference);
    }
    return await this.#move(conditions.expectedActive ?? "", (state) => {
      if (state.active === revision) return state;
      return { ...state, active: revision, history: pushed(state) };
    });
  }

  /** @throws ServiceError FAILED_PRECONDITION when there is nothing to go back to, or `expectedActive` is not active. */
  async rollback(expectedActive: string): Promise<Activation> {
    this.refuseInDirectoryMode();
    return await this.#move(expectedActive, (state) => {
      const before = state.history.at(-1);
      if (before === undefined) {
        throw new ServiceError("FAILED_PRECONDITION", "No revision was active before the current one.", {
          reason: "NOTHING_TO_ROLL_BACK_TO",
        });
      }
      return { ...state, active: before, history: state.history.slice(0, -1) };
    });
  }

  /** Shadows a revision, or none. @throws ServiceError NOT_FOUND, FAILED_PRECONDITION, ABORTED. */
  setShadow(revision: string, sampleRate: number): Promise<void> {
    const { clock, turns } = this.#dependencies;
    return turns(async () => {
      if (revision !== "") await this.#snapshot(revision);
      const setting = revision === "" ? undefined : { revision, sampleRate, startTime: clock() };
      await this.#change((state) => ({ ...state, shadow: setting }));
    });
  }

  /** What all replicas have found so far of the running comparison. */
  async shadowReport(): Promise<{ readonly comparison: Comparison | undefined; readonly report: ShadowReport }> {
    const { revisions, shadow, replica } = this.#dependencies;
    const { comparison } = shadow;
    if (comparison === undefined) return { comparison, report: emptyReport };
    const stored = await revisions.shadowReports(comparison.name);
    const others = [...stored].filter(([name]) => name !== replica).map(([, json]) => JSON.parse(json) as ShadowReport);
    return { comparison, report: mergeReports([shadow.report(), ...others]) };
  }

  /** Lets the other replicas know what this one has found. */
  async shareShadowReport(): Promise<void> {
    const { revisions, shadow, replica } = this.#dependencies;
    const { comparison } = shadow;
    if (comparison === undefined) return;
    await revisions.saveShadowReport(comparison.name, replica, JSON.stringify(shadow.report()));
  }

  /** Newest first. */
  list(beforeSequence: number, limit: number): Promise<readonly StoredRevision[]> {
    return this.#dependencies.revisions.list(beforeSequence, limit);
  }

  /** A revision with its sources. @throws ServiceError NOT_FOUND. */
  async read(id: string): Promise<{ readonly revision: StoredRevision; readonly source: PolicySource }> {
    const { revisions } = this.#dependencies;
    const [revision, source] = [await revisions.find(id), await revisions.source(id)];
    if (revision === undefined || source === undefined) throw revisionNotFound();
    return { revision, source };
  }

  find(revision: string): Promise<StoredRevision | undefined> {
    return this.#dependencies.revisions.find(revision);
  }

  /** Applies what is in the store, if that has changed. */
  refresh(): Promise<void> {
    const { revisions, turns } = this.#dependencies;
    return turns(async () => {
      const state = await revisions.state();
      if (state.generation !== this.#state.generation) await this.#apply(state);
    });
  }

  /** Makes the policies of a directory the active ones of this replica. */
  activateLoaded(snapshot: Snapshot): Promise<void> {
    const { entities, policies, onActivated, turns } = this.#dependencies;
    return turns(async () => {
      const laid = await entities.layOver(snapshot);
      policies.activate(laid);
      policies.forgetPinned();
      onActivated(laid);
      await this.#applyShadow(this.#state);
    });
  }

  /** @throws ServiceError FAILED_PRECONDITION when the active policies are those of a directory. */
  refuseInDirectoryMode(): void {
    if (!this.#dependencies.followsDirectory) return;
    throw new ServiceError("FAILED_PRECONDITION", "The active policies are those of a directory: change them there.", {
      reason: "POLICIES_FOLLOW_DIRECTORY",
    });
  }

  async #requireSmallDifference(revision: string, most: number): Promise<void> {
    const refuse = (message: string): never => {
      throw new ServiceError("FAILED_PRECONDITION", message, { reason: "SHADOW_DIFFERS" });
    };
    if (this.#dependencies.shadow.comparison?.shadow !== revision) refuse("The revision is not the shadow.");
    const { evaluated, different } = (await this.shadowReport()).report;
    if (evaluated === 0) refuse("The shadow has not been compared on any request yet.");
    if (different / evaluated > most) refuse(`The shadow differed in ${different} of ${evaluated} requests.`);
  }

  #move(expectedActive: string, next: (state: PolicyState) => PolicyState): Promise<Activation> {
    return this.#dependencies.turns(async () => {
      const { before, after } = await this.#change((state) => {
        if (expectedActive !== "" && state.active !== expectedActive) {
          throw new ServiceError("FAILED_PRECONDITION", "Another revision is active than was expected.", {
            reason: "OTHER_REVISION_ACTIVE",
            metadata: { active: state.active },
          });
        }
        const moved = next(state);
        return moved.shadow?.revision === moved.active ? { ...moved, shadow: undefined } : moved;
      });
      return { active: after.active, previous: before.active };
    });
  }

  /** Changes the state in the store, and then on this replica. What cannot be compiled here is activated nowhere. */
  async #change(next: (state: PolicyState) => PolicyState): Promise<{ before: PolicyState; after: PolicyState }> {
    const { revisions, announcer } = this.#dependencies;
    return await untilFirst(async () => {
      const before = await revisions.state();
      const wanted = next(before);
      if (wanted === before) return { before, after: before };
      const after = { ...wanted, generation: before.generation + 1 };
      if (after.active !== "") await this.#snapshot(after.active);
      if (!(await revisions.change(after))) return undefined;
      await this.#apply(after);
      await announcer.stateChanged(after, before.active);
      return { before, after };
    });
  }

  async #apply(state: PolicyState): Promise<void> {
    const { policies, onActivated, followsDirectory } = this.#dependencies;
    if (!followsDirectory && state.active !== "" && state.active !== policies.active?.revision) {
      const snapshot = await this.#snapshot(state.active);
      policies.activate(snapshot);
      onActivated(snapshot);
    }
    await this.#applyShadow(state);
    this.#state = state;
  }

  async #applyShadow({ shadow: setting }: PolicyState): Promise<void> {
    const { policies, shadow } = this.#dependencies;
    const active = policies.active?.revision;
    if (setting === undefined || active === undefined) {
      policies.setShadow(undefined);
      shadow.compare(undefined);
      return;
    }
    const { revision, sampleRate, startTime } = setting;
    policies.setShadow(await this.#snapshot(revision));
    const name = `${startTime}:${active}:${revision}`;
    shadow.compare({ name, active, shadow: revision, sampleRate, startTime });
  }

  /** A revision's snapshot, held or built anew. To be called in a turn. @throws ServiceError NOT_FOUND, FAILED_PRECONDITION. */
  async #snapshot(revision: string): Promise<Snapshot> {
    const held = this.#dependencies.policies.held(revision);
    if (held !== undefined) return held;
    const built = await this.#build(revision);
    if (built === undefined) throw revisionNotFound();
    this.#dependencies.policies.hold(built);
    return built;
  }

  /** A revision's snapshot for a request that pins it. */
  #load(revision: string): Promise<Snapshot | undefined> {
    return this.#dependencies.turns(
      async () => this.#dependencies.policies.held(revision) ?? (await this.#build(revision)),
    );
  }

  async #build(revision: string): Promise<Snapshot | undefined> {
    const { revisions, entities, compile } = this.#dependencies;
    const source = await revisions.source(revision);
    if (source === undefined) return undefined;
    const loaded = await compile(source);
    const snapshot = buildSnapshot(loaded, revision, { strictForbid: !source.skipFailingForbids });
    return await entities.layOver(snapshot, this.#directoryEntities());
  }

  /** Entities that came with the directory's policies: a published revision has none of its own. */
  #directoryEntities(): readonly EntityJson[] {
    const { policies, followsDirectory } = this.#dependencies;
    const { active } = policies;
    if (!followsDirectory || active === undefined) return [];
    const { schema, own } = active;
    return [...own].filter(({ uid }) => schema === undefined || findAction(schema, uid as never) === undefined);
  }
}

function pushed({ active, history }: PolicyState): readonly string[] {
  return active === "" ? history : [...history, active].slice(-maxHistory);
}
