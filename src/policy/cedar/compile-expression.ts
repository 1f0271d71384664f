import { asBool, type Code, code, conjunction, constant, type Env, failing, fold, type Run, test } from "./code.ts";
import { EntityRef } from "./entity-ref.ts";
import { EvaluationFailure, quote } from "./errors.ts";
import type { ExpressionReader } from "./expression-json.ts";
import { EXTENSION_FUNCTIONS } from "./extension-functions.ts";
import {
  asEntity,
  asSet,
  asString,
  getAttribute,
  getTag,
  hasAttribute,
  hasTag,
  isIn,
  isWithin,
  less,
  lessOrEqual,
  minus,
  negative,
  plus,
  times,
} from "./operators.ts";
import { compilePattern } from "./pattern.ts";
import { CedarRecord, CedarSet, equal, type Value } from "./value.ts";
import { isObject } from "./value-json.ts";

/** Compiles an expression of the JSON policy format to closures. Throws what the reader throws for a malformed one. */
export function compileExpression(json: unknown, reader: ExpressionReader): Code {
  const compile = (part: unknown): Code => reader.nested(() => compileExpression(part, reader));
  const { operator, operand } = reader.node(json);
  const unary = (): Code => compile(reader.field(operand, "arg"));
  const binary = (): [Code, Code] => [compile(reader.field(operand, "left")), compile(reader.field(operand, "right"))];

  switch (operator) {
    case "Value":
      return constant(reader.value(operand));
    case "Var":
      return variable(reader.variable(operand));
    case "!": {
      const arg = asBool(unary());
      return test((env) => !arg(env));
    }
    case "neg": {
      const arg = unary();
      return fold(
        code((env) => negative(arg.run(env))),
        [arg],
      );
    }
    case "&&":
      return conjunction(chain(json, operator, reader).map(compile));
    case "||":
      return disjunction(chain(json, operator, reader).map(compile));
    case "if-then-else": {
      const condition = asBool(compile(reader.field(operand, "if")));
      const then = compile(reader.field(operand, "then"));
      const otherwise = compile(reader.field(operand, "else"));
      const run: Run = (env) => (condition(env) ? then.run(env) : otherwise.run(env));
      return { run, isBool: then.isBool && otherwise.isBool };
    }
    case "==":
      return equality(...binary());
    case "!=": {
      const same = equality(...binary()).run as Run<boolean>;
      return test((env) => !same(env));
    }
    case "<": {
      const [left, right] = operands(binary());
      return test((env) => less(left(env), right(env)));
    }
    case "<=": {
      const [left, right] = operands(binary());
      return test((env) => lessOrEqual(left(env), right(env)));
    }
    case ">": {
      const [left, right] = operands(binary());
      return test((env) => !lessOrEqual(left(env), right(env)));
    }
    case ">=": {
      const [left, right] = operands(binary());
      return test((env) => !less(left(env), right(env)));
    }
    case "+":
      return arithmetic(plus, ...binary());
    case "-":
      return arithmetic(minus, ...binary());
    case "*":
      return arithmetic(times, ...binary());
    case "in":
      return membership(...binary());
    case "is": {
      const type = reader.typeName(reader.field(operand, "entity_type"));
      const arg = compile(reader.field(operand, "left")).run;
      const target = reader.optional(operand, "in");
      if (target === undefined) return test((env) => asEntity(arg(env)).type === type);
      // `e is T in x` is `e is T && e in x`.
      const within = compile(target).run;
      return test((env) => {
        const entity = asEntity(arg(env));
        return entity.type === type && isIn(entity, within(env), env.view);
      });
    }
    case ".": {
      const name = reader.string(reader.field(operand, "attr"));
      const left = reader.field(operand, "left");
      return isContext(left) ? contextAttribute(name) : attribute(compile(left), name);
    }
    case "has":
      return hasPath(compile(reader.field(operand, "left")), reader.path(reader.field(operand, "attr")));
    case "like": {
      const arg = compile(reader.field(operand, "left")).run;
      const matches = compilePattern(reader.pattern(reader.field(operand, "pattern")));
      return test((env) => matches(asString(arg(env))));
    }
    case "contains": {
      const [left, right] = operands(binary());
      return test((env) => {
        const set = left(env);
        const element = right(env);
        return asSet(set).has(element);
      });
    }
    case "containsAll": {
      const [left, right] = operands(binary());
      return test((env) => setTest(left(env), right(env), (set, other) => set.hasAll(other)));
    }
    case "containsAny": {
      const [left, right] = operands(binary());
      return test((env) => setTest(left(env), right(env), (set, other) => set.hasAny(other)));
    }
    case "isEmpty": {
      const arg = unary().run;
      return test((env) => asSet(arg(env)).elements.length === 0);
    }
    case "getTag": {
      const [left, right] = operands(binary());
      return code((env) => getTag(left(env), right(env), env.view));
    }
    case "hasTag": {
      const [left, right] = operands(binary());
      return test((env) => hasTag(left(env), right(env), env.view));
    }
    case "Set": {
      const elements = reader.array(operand).map(compile);
      const runs = elements.map((element) => element.run);
      return fold(
        code((env) => new CedarSet(runs.map((run) => run(env)))),
        elements,
      );
    }
    case "Record": {
      const fields = reader.entries(operand).map(([name, value]): [string, Code] => [name, compile(value)]);
      const run: Run = (env) => new CedarRecord(new Map(fields.map(([name, value]) => [name, value.run(env)])));
      return fold(
        code(run),
        fields.map(([, value]) => value),
      );
    }
    default:
      return extensionCall(operator, reader.array(operand).map(compile), reader);
  }
}

/** The operands of `a && b && c`, which nests to the left: flat, so that a long chain is not a deep one. */
function chain(json: unknown, operator: "&&" | "||", reader: ExpressionReader): unknown[] {
  const parts: unknown[] = [];
  let rest = json;
  for (let node = reader.node(rest); node.operator === operator; node = reader.node(rest)) {
    parts.push(reader.field(node.operand, "right"));
    rest = reader.field(node.operand, "left");
  }
  parts.push(rest);
  return parts.reverse();
}

function disjunction(parts: readonly Code[]): Code {
  const runs = parts.map(asBool);
  const [first, second] = runs;
  if (runs.length === 2 && first !== undefined && second !== undefined) return test((env) => first(env) || second(env));
  return test((env) => {
    for (let at = 0; at < runs.length; at++) if ((runs[at] as Run<boolean>)(env)) return true;
    return false;
  });
}

function operands([left, right]: [Code, Code]): [Run, Run] {
  return [left.run, right.run];
}

function variable(name: "principal" | "action" | "resource" | "context"): Code {
  switch (name) {
    case "principal":
      return code((env) => env.principal);
    case "action":
      return code((env) => env.action);
    case "resource":
      return code((env) => env.resource);
    case "context":
      return code((env) => env.context);
  }
}

function equality(left: Code, right: Code): Code {
  const literal = right.constant;
  const run = left.run;
  if (literal !== undefined && typeof literal !== "object") return test((env) => run(env) === literal);
  const other = right.run;
  return test((env) => equal(run(env), other(env)));
}

function arithmetic(apply: (left: Value, right: Value) => Value, left: Code, right: Code): Code {
  const [first, second] = operands([left, right]);
  return fold(
    code((env) => apply(first(env), second(env))),
    [left, right],
  );
}

function membership(left: Code, right: Code): Code {
  const [entity, target] = operands([left, right]);
  const literal = right.constant;
  if (literal instanceof EntityRef) return test((env) => isWithin(asEntity(entity(env)), literal, env.view));
  return test((env) => isIn(entity(env), target(env), env.view));
}

function isContext(json: unknown): boolean {
  return isObject(json) && Object.keys(json).length === 1 && json.Var === "context";
}

/** The commonest read, spared the tests for what it reads from. */
function contextAttribute(name: string): Code {
  return code((env) => env.context.fields.get(name) ?? getAttribute(env.context, name, env.view));
}

function attribute(of: Code, name: string): Code {
  const run = of.run;
  return code((env) => getAttribute(run(env), name, env.view));
}

/** `x has a.b.c` is `x has a && x.a has b && x.a.b has c`. */
function hasPath(of: Code, path: readonly string[]): Code {
  const run = of.run;
  const [first = "", ...rest] = path;
  if (rest.length === 0) return test((env) => hasAttribute(run(env), first, env.view));
  return test((env) => {
    let value = run(env);
    for (let at = 0; ; at++) {
      const name = path[at] as string;
      if (!hasAttribute(value, name, env.view)) return false;
      if (at === path.length - 1) return true;
      value = getAttribute(value, name, env.view);
    }
  });
}

/** Both sides must be sets before they are compared. */
function setTest(left: Value, right: Value, compare: (left: CedarSet, right: CedarSet) => boolean): boolean {
  return compare(asSet(left), asSet(right));
}

function extensionCall(name: string, args: readonly Code[], reader: ExpressionReader): Code {
  const extension = EXTENSION_FUNCTIONS.get(name);
  if (extension === undefined) return reader.fail(`${quote(name)} is not an operator or extension function`);
  if (args.length !== extension.arity) return wrongArity(name, extension.arity, args);
  const first = (args[0] as Code).run;
  if (extension.arity === 1) {
    const { call, returnsBool } = extension;
    return fold({ run: (env) => call(first(env)), isBool: returnsBool }, args);
  }
  const { call, returnsBool } = extension;
  const second = (args[1] as Code).run;
  return fold({ run: (env) => call(first(env), second(env)), isBool: returnsBool }, args);
}

/** Cedar parses such a call, evaluates its arguments, and fails. */
function wrongArity(name: string, arity: number, args: readonly Code[]): Code {
  const failure = new EvaluationFailure(
    `wrong number of arguments provided to extension function \`${name}\`: expected ${arity}, got ${args.length}`,
  );
  const fail = failing(failure).run;
  return test((env: Env) => {
    for (const arg of args) arg.run(env);
    return fail(env) as boolean;
  });
}
