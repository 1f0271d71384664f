import type { DetailedError, Policy } from "@cedar-policy/cedar-wasm/nodejs";
import type { PolicyJson, PolicySetJson, TemplateLinkJson } from "../cedar/types.ts";
import {
  type Diagnostic,
  fromDetailedError,
  hasErrors,
  PolicySourceError,
  SourceText,
  sortDiagnostics,
} from "./diagnostics.ts";
import { restoreLongs, substituteLongs } from "./exact-longs.ts";
import { type ControlLimits, DEFAULT_LIMITS } from "./limits.ts";
import { type ParsedSchema, parseSchemaSource } from "./schema-source.ts";
import {
  assemblePolicySet,
  nameStatement,
  type ParsedPolicies,
  type ParsedPolicy,
  type PolicyNaming,
  provisionalId,
  type SourceFile,
  type SourceStatement,
  splitSources,
} from "./sources.ts";
import { validatePolicies } from "./validation.ts";
import { createWasmClient, type WasmClient } from "./wasm-client.ts";

/** Settings of the control plane. */
export type CedarControlOptions = {
  /** How long one call into the official implementation may take, ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** Bounds on input; those not given keep their default. */
  readonly limits?: Partial<ControlLimits>;
};

/** How policies are parsed. */
export type ParseOptions = {
  /** Links that fill the templates' slots. Default none. */
  readonly links?: readonly TemplateLinkJson[];
  /** How policies get their ids. Default `annotation`. */
  readonly naming?: PolicyNaming;
};

/**
 * Everything about policies that is not evaluating them: parsing, validating and formatting, by the official
 * implementation in a thread of its own. Calls queue; one that fails or hangs harms no other.
 *
 * Every method rejects with PolicySourceError (all findings, sorted) where the input is at fault, and with
 * CedarWasmError where the official implementation gave no answer.
 */
export type CedarControl = {
  /** Parses policies and templates. Longs that a number cannot hold are bigint. */
  parsePolicies(input: string | readonly SourceFile[], options?: ParseOptions): Promise<ParsedPolicies>;
  /** Parses a schema, in Cedar's schema syntax or its JSON form (an object, told by its first character). */
  parseSchema(file: SourceFile | string): Promise<ParsedSchema>;
  /** Validates strictly, and answers errors and warnings, sorted. A set without sources has no places. */
  validate(policies: ParsedPolicies | PolicySetJson, schema: ParsedSchema): Promise<Diagnostic[]>;
  /** Formats policies; comments stay. */
  format(file: SourceFile | string): Promise<string>;
  /** Ends the thread. */
  close(): Promise<void>;
};

/** Creates the control plane; its thread starts at the first call. */
export function createCedarControl({ timeoutMs = 5_000, limits: given = {} }: CedarControlOptions = {}): CedarControl {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const wasm = createWasmClient({ timeoutMs });
  return {
    parsePolicies: (input, options = {}) => parsePolicies(wasm, limits, toFiles(input), options),
    parseSchema: (file) => parseSchemaSource(wasm, limits, toFile(file, "schema.cedarschema")),
    validate: async (policies, schema) => sortDiagnostics(await validatePolicies(wasm, policies, schema)),
    format: (file) => format(wasm, limits, toFile(file, "policy.cedar")),
    close: () => wasm.close(),
  };
}

function toFile(input: SourceFile | string, name: string): SourceFile {
  return typeof input === "string" ? { name, text: input } : input;
}

function toFiles(input: string | readonly SourceFile[]): readonly SourceFile[] {
  return typeof input === "string" ? [toFile(input, "policy.cedar")] : input;
}

async function parsePolicies(
  wasm: WasmClient,
  limits: ControlLimits,
  files: readonly SourceFile[],
  { links = [], naming = "annotation" }: ParseOptions,
): Promise<ParsedPolicies> {
  const { statements, diagnostics } = splitSources(files, limits);
  if (statements.length > limits.policies) throw new PolicySourceError(diagnostics);
  const parsed = await parseStatements(wasm, statements);
  const policies: ParsedPolicy[] = [];
  for (const [position, statement] of statements.entries()) {
    const { place, template } = statement;
    const answer = parsed[position]!;
    if ("errors" in answer) {
      const id = provisionalId(statement, naming, position);
      diagnostics.push(...answer.errors.flatMap((error) => fromDetailedError(error, "error", place, id)));
    } else {
      const id = nameStatement(statement, answer.json, naming, position);
      policies.push({ id, json: answer.json, template, place });
    }
  }
  const { policySet, diagnostics: conflicts } = assemblePolicySet(policies, links);
  // Links to a template that did not parse are no news.
  if (diagnostics.length > 0) throw new PolicySourceError([...diagnostics, ...conflicts.filter(({ line }) => line)]);
  if (conflicts.length > 0) throw new PolicySourceError(conflicts);
  return { policySet, policies };
}

type Parsed = { json: ParsedPolicy["json"] } | { errors: readonly DetailedError[] };

/** Policies in one call, so that the timeout is for a piece of work whose size is known. */
const CHUNK = 500;

async function parseStatements(wasm: WasmClient, statements: readonly SourceStatement[]): Promise<Parsed[]> {
  const parsed: Parsed[] = [];
  for (let from = 0; from < statements.length; from += CHUNK) {
    parsed.push(...(await parseChunk(wasm, statements.slice(from, from + CHUNK))));
  }
  return parsed;
}

async function parseChunk(wasm: WasmClient, statements: readonly SourceStatement[]): Promise<Parsed[]> {
  const written = await toJson(
    wasm,
    statements,
    statements.map(({ text }) => text),
  );
  const exact = statements.map(({ text, tokens, place }) => substituteLongs(text, tokens, place.start));
  // Whether a literal is in range is judged on what was written; only then is the exact form read.
  const large = indexesWhere(statements, (_, index) => exact[index]!.longs.size > 0 && "json" in written[index]!);
  if (large.length === 0) return written;
  const substituted = await toJson(
    wasm,
    large.map((index) => statements[index]!),
    large.map((index) => exact[index]!.text),
  );
  for (const [at, index] of large.entries()) written[index] = restoreLongs(substituted[at]!, exact[index]!.longs);
  return written;
}

async function toJson(wasm: WasmClient, statements: readonly SourceStatement[], texts: string[]): Promise<Parsed[]> {
  const parsed: Parsed[] = [];
  for (const template of [false, true]) {
    const chosen = indexesWhere(statements, (statement) => statement.template === template);
    if (chosen.length === 0) continue;
    const call: [Policy][] = chosen.map((index) => [texts[index]!]);
    const answers = await wasm.call(template ? "templateToJson" : "policyToJson", call);
    for (const [at, answer] of answers.entries()) {
      parsed[chosen[at]!] = answer.type === "success" ? { json: answer.json as PolicyJson } : { errors: answer.errors };
    }
  }
  return parsed;
}

function indexesWhere<T>(list: readonly T[], holds: (element: T, index: number) => boolean): number[] {
  return list.flatMap((element, index) => (holds(element, index) ? [index] : []));
}

async function format(wasm: WasmClient, limits: ControlLimits, { name, text }: SourceFile): Promise<string> {
  const source = new SourceText(name, text);
  const { diagnostics } = splitSources([{ name, text }], limits);
  if (hasErrors(diagnostics)) throw new PolicySourceError(diagnostics);
  const [answer] = await wasm.call("formatPolicies", [[{ policyText: text, lineWidth: 100, indentWidth: 2 }]]);
  if (answer!.type === "success") return answer!.formatted_policy;
  const place = { source, start: 0, end: text.length };
  throw new PolicySourceError(answer!.errors.flatMap((error) => fromDetailedError(error, "error", place, undefined)));
}
