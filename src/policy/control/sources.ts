import type { PolicyJson, PolicySetJson, TemplateLinkJson } from "../cedar/types.ts";
import { type Diagnostic, diagnosticAt, type Place, SourceText } from "./diagnostics.ts";
import { hasSlot, type Statement, splitStatements, type Token, tokenize } from "./lexer.ts";
import { type ControlLimits, findIllFormed, findTooDeep, type LimitBreach } from "./limits.ts";

/** A file of policies in Cedar text. */
export type SourceFile = { readonly name: string; readonly text: string };

/**
 * How a policy gets its id: `annotation` takes its `@id("…")`, else `<file>#<n>`, n counting the file's policies and
 * templates from 0; `position` names them `policy0`, `policy1`, … through all files, as the official parser does.
 */
export type PolicyNaming = "annotation" | "position";

/** A policy or template that was parsed, and where it stands. */
export type ParsedPolicy = {
  readonly id: string;
  readonly json: PolicyJson;
  readonly template: boolean;
  readonly place: Place;
};

/** A policy set with its sources. */
export type ParsedPolicies = {
  readonly policySet: Required<PolicySetJson>;
  /** Policies and templates in the order of their files. */
  readonly policies: readonly ParsedPolicy[];
};

/** A statement of a file, not parsed yet. */
export type SourceStatement = {
  readonly place: Place;
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly template: boolean;
  /** Its number in its file, from 0. */
  readonly index: number;
};

/** Splits files into statements and refuses what is beyond the limits, each finding at its place. */
export function splitSources(
  files: readonly SourceFile[],
  limits: ControlLimits,
): { statements: SourceStatement[]; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const bytes = files.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (bytes > limits.policyBytes) {
    const message = `the policies are ${bytes} bytes long; at most ${limits.policyBytes} are read`;
    return { statements: [], diagnostics: [{ severity: "error", message }] };
  }
  const statements: SourceStatement[] = [];
  for (const { name, text } of files) {
    const source = new SourceText(name, text);
    const refuse = ({ message, start, end }: LimitBreach, policyId?: string): void => {
      const fields = { severity: "error", message } as const;
      diagnostics.push(diagnosticAt({ source, start, end }, policyId === undefined ? fields : { ...fields, policyId }));
    };
    const illFormed = findIllFormed(text);
    if (illFormed) {
      refuse(illFormed);
      continue;
    }
    for (const [index, statement] of splitStatements(tokenize(text)).entries()) {
      const breach = findBreach(statement, text, limits);
      if (breach) refuse(breach, writtenId(statement) ?? `${name}#${index}`);
      else statements.push(toSource(source, statement, index));
    }
  }
  if (statements.length > limits.policies) {
    const message = `there are ${statements.length} policies; at most ${limits.policies} are read`;
    diagnostics.push({ severity: "error", message });
  }
  return { statements, diagnostics };
}

function findBreach({ start, end, tokens }: Statement, text: string, limits: ControlLimits): LimitBreach | undefined {
  const bytes = Buffer.byteLength(text.slice(start, end));
  if (bytes > limits.statementBytes) {
    const message = `the policy is ${bytes} bytes long; at most ${limits.statementBytes} are read`;
    return { message, start, end: start };
  }
  return findTooDeep(tokens, limits.nesting);
}

function toSource(source: SourceText, statement: Statement, index: number): SourceStatement {
  const { start, end, tokens } = statement;
  return {
    place: { source, start, end },
    text: source.text.slice(start, end),
    tokens,
    template: hasSlot(statement),
    index,
  };
}

/** Names policies, refusing an id that is taken. */
export function nameStatement(
  { place, index }: SourceStatement,
  json: PolicyJson,
  naming: PolicyNaming,
  position: number,
): string {
  if (naming === "position") return `policy${position}`;
  const { annotations } = json as { annotations?: { id?: string | null } };
  return annotations?.id || `${place.source.name}#${index}`;
}

/** The id that a statement would have, were it to parse: what its findings go by. */
export function provisionalId(statement: SourceStatement, naming: PolicyNaming, position: number): string {
  if (naming === "position") return `policy${position}`;
  return writtenId(statement) ?? `${statement.place.source.name}#${statement.index}`;
}

function writtenId({ tokens }: { readonly tokens: readonly Token[] }): string | undefined {
  const at = tokens.findIndex(({ text }, index) => text === "@" && tokens[index + 1]?.text === "id");
  const value = at < 0 ? undefined : tokens[at + 3];
  return value?.kind === "string" && value.text.length > 2 ? value.text.slice(1, -1) : undefined;
}

/** Puts parsed policies and links together. Ids key objects without a prototype, so any id is only a key. */
export function assemblePolicySet(
  policies: readonly ParsedPolicy[],
  links: readonly TemplateLinkJson[],
): { policySet: Required<PolicySetJson>; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const staticPolicies: Record<string, PolicyJson> = Object.create(null);
  const templates: Record<string, PolicyJson> = Object.create(null);
  const taken = new Map<string, ParsedPolicy>();
  for (const policy of policies) {
    const first = taken.get(policy.id);
    if (first) {
      const message = `the id ${JSON.stringify(policy.id)} is taken`;
      const help = `first used in ${first.place.source.name}:${first.place.source.lineAt(first.place.start).number}`;
      diagnostics.push(diagnosticAt(policy.place, { severity: "error", message, help, policyId: policy.id }));
      continue;
    }
    taken.set(policy.id, policy);
    (policy.template ? templates : staticPolicies)[policy.id] = policy.json;
  }
  const linked = new Set<string>();
  for (const { templateId, newId, values } of links) {
    const message = findBadLink(
      templates,
      templateId,
      values,
      linked.has(newId) || taken.has(newId) ? newId : undefined,
    );
    if (message) diagnostics.push({ severity: "error", message, policyId: newId });
    linked.add(newId);
  }
  return { policySet: { staticPolicies, templates, templateLinks: links }, diagnostics };
}

function findBadLink(
  templates: Record<string, PolicyJson>,
  templateId: string,
  values: TemplateLinkJson["values"],
  takenId: string | undefined,
): string | undefined {
  if (takenId !== undefined) return `the id ${JSON.stringify(takenId)} of a template link is taken`;
  const template = templates[templateId];
  if (!template) return `a link names the template ${JSON.stringify(templateId)}, which does not exist`;
  const wanted = (["principal", "resource"] as const)
    .filter((name) => namesSlot(template[name]))
    .map((name) => `?${name}`);
  const given = Object.keys(values);
  if (wanted.length === given.length && wanted.every((slot) => given.includes(slot))) return undefined;
  return `the template ${JSON.stringify(templateId)} has the slots ${wanted.join(", ")}; the link fills ${given.join(", ") || "none"}`;
}

function namesSlot(scope: unknown): boolean {
  const { slot, in: within } = scope as { slot?: string; in?: { slot?: string } };
  return slot !== undefined || within?.slot !== undefined;
}
