import type { Decision } from "../cedar/decision.ts";
import type { Evaluation } from "../cedar/engine.ts";
import type { Query } from "./evaluate.ts";
import type { Snapshot } from "./snapshot.ts";

/** Is told of each decision, after it was made and without any influence on it: metrics, shadow, decision log. */
export interface DecisionObserver {
  /** The lean form, for streams: the decision is valid during the call only. */
  tallied(decision: Decision): void;
  decided(snapshot: Snapshot, query: Query, evaluation: Evaluation): void;
}
