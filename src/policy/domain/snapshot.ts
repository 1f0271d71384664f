import type { Engine } from "../cedar/engine.ts";
import type { RequestValidator } from "./request-validator.ts";

/** One policy set with its schema and entities, compiled, immutable: a request sees one of them whole. */
export interface Snapshot {
  /** `<sequence>-<first 12 hex digits of the content hash>`. */
  readonly revision: string;
  readonly engine: Engine;
  /** Whether a `forbid` that fails denies; see EngineOptions. */
  readonly strictForbid: boolean;
  /** Checks requests against the schema; absent when the set has no schema. */
  readonly requestValidator: RequestValidator | undefined;
}
