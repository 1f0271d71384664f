import type { Token } from "./lexer.ts";

/** Bounds on what the official parser is given: beyond them it exhausts its stack, and the instance is lost. */
export type ControlLimits = {
  /** Bytes of UTF-8 in all policy files together. Default 8 MiB. */
  readonly policyBytes: number;
  /** Policies and templates in a set. Default 20,000. */
  readonly policies: number;
  /** Bytes of UTF-8 in one policy. Default 256 KiB. */
  readonly statementBytes: number;
  /** Bytes of UTF-8 in a schema. Default 1 MiB. */
  readonly schemaBytes: number;
  /** Brackets open at once. Default 50. */
  readonly nesting: number;
};

/** The limits used where none are given. */
export const DEFAULT_LIMITS: ControlLimits = {
  policyBytes: 8 << 20,
  policies: 20_000,
  statementBytes: 256 << 10,
  schemaBytes: 1 << 20,
  nesting: 50,
};

/** Why a text is refused before it is parsed, and where (UTF-16 code units). */
export type LimitBreach = { readonly message: string; readonly start: number; readonly end: number };

/**
 * What one level costs of the parser's stack, in a unit of which it bears about 900: it falls at 132 brackets, 264 `if`s,
 * 368 arithmetic operators or 3,000 `&&` in one expression. Half of that is given out.
 */
const COST = { bracket: 7, if: 4, operator: 2, logical: 0.45 };
const BUDGET = 450;

/** The depth that an open bracket has reached; operators of one chain add up, those of sibling operands do not. */
type Group = { cost: number; ifs: number; ors: number; ands: number; operators: number };

/** What nests, in a kind of text. */
export type Brackets = { readonly open: ReadonlySet<string>; readonly close: ReadonlySet<string> };

const POLICY_BRACKETS: Brackets = { open: new Set("([{"), close: new Set(")]}") };

/** In a schema, types nest by `Set<…>`, too. */
export const SCHEMA_BRACKETS: Brackets = { open: new Set("([{<"), close: new Set(")]}>") };

const OPERATORS: ReadonlySet<string> = new Set(["+", "-", "*", "!", "."]);

/**
 * Finds where tokens nest deeper than the official parser can bear, counting brackets and chains of operators by
 * precedence. Answers undefined when they do not.
 */
export function findTooDeep(
  tokens: readonly Token[],
  nesting: number,
  brackets: Brackets = POLICY_BRACKETS,
): LimitBreach | undefined {
  const open: Group[] = [{ cost: 0, ifs: 0, ors: 0, ands: 0, operators: 0 }];
  for (const token of tokens) {
    const group = open.at(-1)!;
    const { text } = token;
    if (brackets.open.has(text)) {
      open.push({ cost: total(group) + COST.bracket, ifs: 0, ors: 0, ands: 0, operators: 0 });
      if (open.length - 1 > nesting) return { message: `nested more than ${nesting} brackets deep`, ...token };
      // A bracket that applies to what precedes it (`x["a"]`, `x.f(…)`) lengthens that chain by one.
      if (text !== "{") group.operators++;
    } else if (brackets.close.has(text)) {
      if (open.length > 1) open.pop();
    } else if (text === "," || text === ";") {
      Object.assign(group, { ifs: 0, ors: 0, ands: 0, operators: 0 });
    } else if (text === "if") {
      group.ifs++;
    } else if (text === "then" || text === "else") {
      Object.assign(group, { ors: 0, ands: 0, operators: 0 });
    } else if (text === "||") {
      Object.assign(group, { ors: group.ors + 1, ands: 0, operators: 0 });
    } else if (text === "&&") {
      Object.assign(group, { ands: group.ands + 1, operators: 0 });
    } else if (OPERATORS.has(text)) {
      group.operators++;
    }
    if (total(open.at(-1)!) > BUDGET) return { message: "an expression with too many levels", ...token };
  }
  return undefined;
}

function total(group: Group): number {
  return group.cost + group.ifs * COST.if + (group.ors + group.ands) * COST.logical + group.operators * COST.operator;
}

/** Finds a lone surrogate, which UTF-8 cannot carry: the official parser would be given something else than was written. */
export function findIllFormed(text: string): LimitBreach | undefined {
  if (text.isWellFormed()) return undefined;
  const at = text.search(/\p{Surrogate}/u);
  return { message: "a lone surrogate is not valid Unicode text", start: at, end: at + 1 };
}
