import type { PolicySource } from "./policy-source.ts";

/** A published revision, without its sources. */
export interface StoredRevision {
  /** `<sequence>-<first 12 hex digits of the content hash>`. */
  readonly id: string;
  /** Counts from 1 in the order of publication. */
  readonly sequence: number;
  /** SHA-256 of the content, in hex. */
  readonly contentHash: string;
  /** Milliseconds since the epoch. */
  readonly createTime: number;
  readonly comment: string;
  readonly policyCount: number;
}

/** Which candidate is evaluated beside the active revision. */
export interface ShadowSetting {
  readonly revision: string;
  /** Share of the requests that it is evaluated on, above 0 to 1. */
  readonly sampleRate: number;
  /** When it was set, in milliseconds since the epoch: names the comparison. */
  readonly startTime: number;
}

/** What is in force, on every replica. */
export interface PolicyState {
  /** Grows by one with each change. */
  readonly generation: number;
  /** Empty until a revision is activated. */
  readonly active: string;
  /** Revisions that were active before, the latest last. */
  readonly history: readonly string[];
  readonly shadow: ShadowSetting | undefined;
}

export const initialState: PolicyState = { generation: 0, active: "", history: [], shadow: undefined };

export type NewRevision = Omit<StoredRevision, "id" | "sequence"> & { readonly source: PolicySource };

/** How many revisions are kept beside those that the state names; older ones are removed. */
export const keptRevisions = 1_000;

/**
 * Keeps the published revisions and the state. Each method is atomic.
 *
 * All throw ServiceError UNAVAILABLE (STORE_UNAVAILABLE) when the store cannot be used.
 */
export interface RevisionStore {
  /** Stores a revision, or answers the one of the same content. */
  publish(revision: NewRevision): Promise<StoredRevision>;
  find(id: string): Promise<StoredRevision | undefined>;
  source(id: string): Promise<PolicySource | undefined>;
  /** Newest first, from before a sequence number. */
  list(beforeSequence: number, limit: number): Promise<readonly StoredRevision[]>;
  state(): Promise<PolicyState>;
  /** Replaces the state if its generation is still that before `next`'s; false when it is not. */
  change(next: PolicyState): Promise<boolean>;
  /** Keeps one replica's shadow report; `comparison` names what is compared. Others of the replica are forgotten. */
  saveShadowReport(comparison: string, replica: string, report: string): Promise<void>;
  /** The reports of all replicas on a comparison, by replica. */
  shadowReports(comparison: string): Promise<ReadonlyMap<string, string>>;
}
