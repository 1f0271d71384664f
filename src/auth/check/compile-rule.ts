import type { ContextTemplate } from "./context-template.ts";
import type { MappingSettings, Rule } from "./mapping.ts";
import type { RuleEntry } from "./mapping-schema.ts";
import { parsePathTemplate, type TemplateSegment } from "./path-template.ts";
import type { RulePlace } from "./rule-index.ts";
import { sourcesOf, type ValueTemplate } from "./value-template.ts";

/** A rule and where it applies. */
export interface PlacedRule {
  readonly place: RulePlace;
  readonly rule: Rule;
}

/** Takes note of a fault in a rule: the field it is in, and what is wrong. */
export type Fault = (field: readonly string[], message: string) => void;

/** Turns one rule of the file into what the mapping works with. What is wrong with it goes to `fault`. */
export function compileRule(entry: RuleEntry, index: number, { paths }: MappingSettings, fault: Fault): PlacedRule {
  const { destinations = [], hosts = [], action, resource } = entry;
  const path = pathOf(entry, fault);
  const name = entry.name ?? `rule-${index + 1}`;
  const methods = entry.grpc === undefined ? (entry.methods ?? []) : ["POST"];
  const last = path.at(-1);
  const endsOpen = paths.trailingSlash === "ignore" && last?.kind === "literal" && last.text === "";
  const place = { destinations, hosts, path: endsOpen ? path.slice(0, -1) : path, methods };
  if (entry.public) {
    for (const field of ["action", "resource"] as const) {
      if (entry[field] !== undefined) fault([field], "has no meaning in a public rule");
    }
    if (Object.keys(entry.context).length > 0) fault(["context"], "has no meaning in a public rule");
    return { place, rule: { name, public: true } };
  }
  if (action === undefined) fault(["action"], "is required, unless the rule is public");
  if (resource === undefined) fault(["resource"], "is required, unless the rule is public");
  if (action === undefined || resource === undefined) return { place, rule: { name, public: true } };
  const context: [string, ContextTemplate][] = Object.entries(entry.context);
  const variables = new Set(path.flatMap((segment) => (segment.kind === "literal" ? [] : [segment.name])));
  const check = (field: readonly string[], template: ValueTemplate): void =>
    checkVariables(template, variables, field, fault);
  check(["action"], action.id);
  check(["resource"], resource.id);
  for (const [key, template] of context) if ("from" in template) check(["context", key], template.from);
  return { place, rule: { name, public: false, path, action, resource, context } };
}

/** Positions of rules whose name another before them has. */
export function repeatedNames(rules: readonly PlacedRule[]): readonly number[] {
  const names = new Set<string>();
  return [...rules.entries()].flatMap(([index, { rule }]) => {
    const repeated = names.has(rule.name);
    names.add(rule.name);
    return repeated ? [index] : [];
  });
}

function pathOf(entry: RuleEntry, fault: Fault): readonly TemplateSegment[] {
  if (entry.grpc === undefined) {
    if (entry.path === undefined) fault([], "needs a path, or grpc");
    return entry.path ?? [];
  }
  if (entry.path !== undefined) fault(["grpc"], "stands in place of path, not beside it");
  if (entry.methods !== undefined) fault(["methods"], "has no meaning beside grpc: its requests are POST");
  return parsePathTemplate(`/${entry.grpc.replace(/\*$/, "{method}")}`);
}

function checkVariables(
  template: ValueTemplate,
  variables: ReadonlySet<string | undefined>,
  field: readonly string[],
  fault: Fault,
): void {
  for (const source of sourcesOf(template)) {
    if (source.kind === "path" && !variables.has(source.name))
      fault(field, `has {${source.name}}, which the path has not`);
  }
}
