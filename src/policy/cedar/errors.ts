/** The errors of the engine. Messages quote at most {@link QUOTE_LIMIT} characters of any caller's value. */

const QUOTE_LIMIT = 64;

/** Thrown at load for a policy the engine cannot evaluate exactly: it is refused, never evaluated wrongly. */
export class PolicyCompileError extends Error {
  override readonly name = "PolicyCompileError";
  /** The policy, template or link at fault. */
  readonly policyId: string;
  /** What is wrong with it, without the policy's id. */
  readonly reason: string;

  constructor(policyId: string, reason: string) {
    super(`policy ${quote(policyId)}: ${reason}`);
    this.policyId = policyId;
    this.reason = reason;
  }
}

/** Thrown for entities that are malformed, form a cycle or exceed a limit. */
export class EntityError extends Error {
  override readonly name = "EntityError";
  /** The entity at fault as `Type::"id"`, or `undefined` for a fault of the whole set. */
  readonly uid: string | undefined;
  readonly reason: string;

  constructor(uid: string | undefined, reason: string) {
    super(uid === undefined ? reason : `entity ${uid}: ${reason}`);
    this.uid = uid;
    this.reason = reason;
  }
}

/** Thrown for a value (of a context, an attribute or a tag) that is not a Cedar value. */
export class ValueError extends Error {
  override readonly name = "ValueError";
  /** Where the fault lies, for example `context.device.ports[3]`. */
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/**
 * Cedar's evaluation error: the policy it happens in is skipped and reported.
 *
 * Not an `Error`: it is part of the language and thrown on the hot path, where collecting a stack would cost more than
 * the decision.
 */
export class EvaluationFailure {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** Builds Cedar's type error. */
export function typeError(expected: string, got: string): EvaluationFailure {
  return new EvaluationFailure(`type error: expected ${expected}, got ${got}`);
}

/** Quotes a caller's string for a message: bounded in length, free of control characters and lone surrogates. */
export function quote(text: string): string {
  const head = text.length > QUOTE_LIMIT ? `${text.slice(0, QUOTE_LIMIT)}…` : text;
  return JSON.stringify(head.toWellFormed());
}

/** Formats an entity uid for a message, as in policies. */
export function formatUid(uid: { readonly type: string; readonly id: string }): string {
  return `${quote(uid.type).slice(1, -1)}::${quote(uid.id)}`;
}
