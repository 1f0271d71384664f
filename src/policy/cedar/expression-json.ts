import type { EntityRef } from "./entity-ref.ts";
import { isTypeName } from "./entity-ref.ts";
import { quote, ValueError } from "./errors.ts";
import type { PatternElement } from "./pattern.ts";
import type { CedarJson } from "./types.ts";
import type { Value } from "./value.ts";
import { createValueReader, DEFAULT_VALUE_LIMITS, isObject } from "./value-json.ts";

/** Reads the parts of an expression's JSON, refusing what has not exactly the expected form. */
export interface ExpressionReader {
  /** The one key of an expression node, and what it holds. */
  node(json: unknown): { readonly operator: string; readonly operand: unknown };
  /** A mandatory field of an operand. */
  field(operand: unknown, name: string): unknown;
  /** A field that may be absent. */
  optional(operand: unknown, name: string): unknown;
  array(json: unknown): readonly unknown[];
  entries(json: unknown): [string, unknown][];
  string(json: unknown): string;
  typeName(json: unknown): string;
  variable(json: unknown): "principal" | "action" | "resource" | "context";
  /** The path of a `has`: one name, or several. */
  path(json: unknown): readonly string[];
  pattern(json: unknown): readonly PatternElement[];
  value(json: unknown): Value;
  /** Runs a step one level deeper; refuses what is too deep. */
  nested<T>(step: () => T): T;
  /** Refuses the expression. */
  fail(reason: string): never;
}

/** Bounds on a policy's expressions. */
export interface ExpressionLimits {
  /** Deepest nesting of an expression; a chain of `&&` or `||` counts once. Default 250. */
  readonly maxDepth: number;
  /** Most nodes of one policy. Default 100,000. */
  readonly maxNodes: number;
}

export const DEFAULT_EXPRESSION_LIMITS: ExpressionLimits = { maxDepth: 250, maxNodes: 100_000 };

const VARIABLES = ["principal", "action", "resource", "context"] as const;

/** Creates the reader of one policy's expressions; `fail` throws the error that names the policy. */
export function createExpressionReader(
  makeRef: (type: string, id: string) => EntityRef,
  limits: ExpressionLimits,
  fail: (reason: string) => never,
): ExpressionReader {
  const values = createValueReader(makeRef, { ...DEFAULT_VALUE_LIMITS, maxSetSize: limits.maxNodes });
  let depth = 0;
  let nodes = 0;

  function string(json: unknown): string {
    if (typeof json !== "string") return fail("expected a string");
    return json.isWellFormed() ? json : fail("a string holds a lone surrogate");
  }

  const reader: ExpressionReader = {
    fail,
    string,
    node(json) {
      nodes += 1;
      if (nodes > limits.maxNodes) fail(`more than ${limits.maxNodes} expression nodes`);
      if (!isObject(json)) return fail("an expression is not an object");
      const keys = Object.keys(json);
      if (keys.length !== 1) fail("an expression does not have exactly one operator");
      const operator = keys[0] as string;
      return { operator, operand: json[operator] };
    },
    field(operand, name) {
      const value = reader.optional(operand, name);
      return value === undefined ? fail(`an operand lacks ${quote(name)}`) : value;
    },
    optional(operand, name) {
      if (!isObject(operand)) return fail("an operand is not an object");
      return Object.hasOwn(operand, name) ? operand[name] : undefined;
    },
    array(json) {
      return Array.isArray(json) ? json : fail("expected an array");
    },
    entries(json) {
      if (!isObject(json)) return fail("expected an object");
      return Object.entries(json).map(([name, value]) => [string(name), value]);
    },
    typeName(json) {
      const name = string(json);
      return isTypeName(name) ? name : fail(`${quote(name)} is not an entity type name`);
    },
    variable(json) {
      return VARIABLES.find((name) => name === json) ?? fail("unknown variable");
    },
    path(json) {
      const path = Array.isArray(json) ? json.map(string) : [string(json)];
      return path.length > 0 ? path : fail("an empty attribute path");
    },
    pattern(json) {
      return reader.array(json).map((element) => {
        if (element === "Wildcard") return element;
        if (!isObject(element) || Object.keys(element).length !== 1) return fail("malformed pattern");
        return { Literal: string(element.Literal) };
      });
    },
    value(json) {
      try {
        return values.value(json as CedarJson, "Value");
      } catch (error) {
        return fail(error instanceof ValueError ? `${error.path}: ${error.reason}` : "malformed value");
      }
    },
    nested(step) {
      depth += 1;
      if (depth > limits.maxDepth) fail(`nested deeper than ${limits.maxDepth}`);
      const result = step();
      depth -= 1;
      return result;
    },
  };
  return reader;
}
