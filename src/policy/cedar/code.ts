import type { EntityView } from "./entity-node.ts";
import type { EntityRef } from "./entity-ref.ts";
import { EvaluationFailure, typeError } from "./errors.ts";
import { type CedarRecord, typeOf, type Value } from "./value.ts";

/** What an expression is evaluated in: the request, and the entities as it sees them. */
export interface Env {
  principal: EntityRef;
  action: EntityRef;
  resource: EntityRef;
  context: CedarRecord;
  view: EntityView;
}

/** A compiled expression. Throws `EvaluationFailure` where Cedar has an evaluation error. */
export type Run<T extends Value = Value> = (env: Env) => T;

/** A compiled expression and what is known of it before it runs. */
export interface Code {
  readonly run: Run;
  /** Whether a result is always a boolean, so that no check is needed. */
  readonly isBool: boolean;
  /** The result of an expression that depends on nothing. */
  readonly constant?: Value;
}

/** An expression of any type. */
export function code(run: Run): Code {
  return { run, isBool: false };
}

/** An expression whose result is always a boolean. */
export function test(run: Run<boolean>): Code {
  return { run, isBool: true };
}

/** An expression that is a value. */
export function constant(value: Value): Code {
  return { run: () => value, isBool: typeof value === "boolean", constant: value };
}

/** An expression that always fails. */
export function failing(failure: EvaluationFailure): Code {
  return test(() => {
    throw failure;
  });
}

/** Evaluates at load an expression whose parts are all constants; a failure still happens only when it is reached. */
export function fold(compiled: Code, parts: readonly Code[]): Code {
  if (parts.some((part) => part.constant === undefined)) return compiled;
  try {
    // Constant parts read nothing of the environment.
    return constant(compiled.run(undefined as unknown as Env));
  } catch (error) {
    if (error instanceof EvaluationFailure) return failing(error);
    throw error;
  }
}

/** The code as a condition: checks that the result is a boolean unless it always is. */
export function asBool({ run, isBool }: Code): Run<boolean> {
  if (isBool) return run as Run<boolean>;
  return (env) => {
    const value = run(env);
    if (typeof value === "boolean") return value;
    throw typeError("bool", typeOf(value));
  };
}

/** Evaluates conditions from left to right until one is false; each evaluated one must be a boolean. */
export function conjunction(parts: readonly Code[]): Code {
  const runs = parts.map(asBool);
  const [first, second, third] = runs;
  if (first === undefined) return constant(true);
  if (second === undefined) return test(first);
  if (third === undefined) return test((env) => first(env) && second(env));
  if (runs.length === 3) return test((env) => first(env) && second(env) && third(env));
  return test((env) => {
    for (let at = 0; at < runs.length; at++) if (!(runs[at] as Run<boolean>)(env)) return false;
    return true;
  });
}
