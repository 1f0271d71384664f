import * as v from "valibot";
import { LineCounter, parseDocument } from "yaml";
import type { CedarJson, CedarJsonObject, EntityJson, EntityUid } from "../../policy/cedar/types.ts";
import { type Diagnostic, diagnosticAt, PolicySourceError, SourceText } from "../../policy/control/diagnostics.ts";
import type { SourceFile } from "../../policy/control/sources.ts";

/** What a test case says. */
export type PolicyTest = {
  readonly description: string;
  readonly request: {
    readonly principal: EntityUid;
    readonly action: EntityUid;
    readonly resource: EntityUid;
    readonly context: CedarJsonObject;
    readonly entities: readonly EntityJson[];
  };
  /** The decision wanted; absent where the request is to be refused. */
  readonly decision?: "ALLOW" | "DENY" | undefined;
  /** Ids of the determining policies, in any order; not compared where absent. */
  readonly determining?: readonly string[] | undefined;
  /** Ids of the policies that fail, in any order. */
  readonly errors: readonly string[];
  /** Whether the answer is DENY because a `forbid` failed. */
  readonly indeterminate: boolean;
  /** Text in the reason for which the schema does not admit the request. */
  readonly refused?: string | undefined;
  /** The line of its file, from 1. */
  readonly line: number;
};

const IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*";
const UID = new RegExp(`^(${IDENTIFIER}(?:::${IDENTIFIER})*)::("(?:[^"\\\\]|\\\\.)*")$`);

/** An entity uid: as in policies, `Type::"id"`, or as in JSON. */
const uidSchema = v.union(
  [
    v.pipe(
      v.string(),
      v.transform(parseUid),
      v.custom<EntityUid>((uid) => uid !== undefined, 'expected an entity, written Type::"id"'),
    ),
    v.strictObject({ type: v.string(), id: v.string() }),
  ],
  'expected an entity, written Type::"id"',
);

const jsonObjectSchema = v.custom<CedarJsonObject>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "expected a map",
);

const caseSchema = v.strictObject({
  description: v.pipe(v.string(), v.nonEmpty()),
  request: v.strictObject({
    principal: uidSchema,
    action: uidSchema,
    resource: uidSchema,
    context: v.optional(jsonObjectSchema, {}),
    entities: v.optional(v.array(v.custom<EntityJson>((value) => typeof value === "object" && value !== null)), []),
  }),
  decision: v.optional(v.picklist(["ALLOW", "DENY"])),
  determining: v.optional(v.array(v.string())),
  errors: v.optional(v.array(v.string()), []),
  indeterminate: v.optional(v.boolean(), false),
  refused: v.optional(v.string()),
});

/** The form of a file of test cases. `policies/policy-test.schema.json` says the same to editors. */
const testFileSchema = v.strictObject({
  strictForbid: v.optional(v.boolean(), true),
  tests: v.pipe(v.array(caseSchema), v.nonEmpty()),
});

/** A file of test cases. */
export type PolicyTestFile = {
  readonly name: string;
  /** Whether a `forbid` that fails denies, as policy-service has it by default. */
  readonly strictForbid: boolean;
  readonly tests: readonly PolicyTest[];
};

/**
 * Parses a file of test cases in YAML.
 *
 * @throws PolicySourceError with every fault at its place
 */
export function parseTestFile({ name, text }: SourceFile): PolicyTestFile {
  const source = new SourceText(name, text);
  const lines = new LineCounter();
  const document = parseDocument(text, { intAsBigInt: true, lineCounter: lines, prettyErrors: false });
  const fault = (message: string, [start, end]: readonly number[] = [0, 0]): Diagnostic =>
    diagnosticAt({ source, start: start!, end: end! }, { severity: "error", message });
  const findings = document.errors.map(({ message, pos }) => fault(message, pos));
  if (findings.length > 0) throw new PolicySourceError(findings);

  const parsed = v.safeParse(testFileSchema, withNumbers(document.toJS({ maxAliasCount: 100 })));
  const range = (path: readonly unknown[]): readonly number[] | undefined => {
    const node = document.getIn(path, true) as { range?: readonly number[] } | undefined;
    return node?.range ?? (path.length > 0 ? range(path.slice(0, -1)) : undefined);
  };
  if (!parsed.success) {
    throw new PolicySourceError(
      parsed.issues.map((issue) => {
        const path = issue.path?.map(({ key }) => key) ?? [];
        return fault(`${path.join(".") || "file"}: ${issue.message}`, range(path));
      }),
    );
  }
  const tests = parsed.output.tests.map((test, index) => ({
    ...test,
    line: lines.linePos(range(["tests", index])?.[0] ?? 0).line,
  }));
  const contradictory = tests.flatMap(({ decision, refused }, index) =>
    (decision === undefined) === (refused === undefined)
      ? [fault("needs either decision or refused", range(["tests", index]))]
      : [],
  );
  if (contradictory.length > 0) throw new PolicySourceError(contradictory);
  return { name, strictForbid: parsed.output.strictForbid, tests };
}

function parseUid(text: string): EntityUid | undefined {
  const [, type, quoted] = UID.exec(text) ?? [];
  if (type === undefined) return undefined;
  try {
    return { type, id: JSON.parse(quoted!) };
  } catch {
    return undefined;
  }
}

/** Integers come as bigint, so that none is rounded; those that a number holds become one. */
function withNumbers(value: unknown): CedarJson {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== "object" || value === null) return value as CedarJson;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNumbers(inner)]));
}
