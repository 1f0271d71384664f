import type { ContextTemplate } from "./context-template.ts";
import type { CredentialPlaces } from "./credential-finder.ts";
import type { EntityTemplate } from "./entity-template.ts";
import { normalHost } from "./host.ts";
import { type PathRules, pathSegments } from "./path.ts";
import type { TemplateSegment } from "./path-template.ts";
import type { CheckedRequest } from "./request.ts";
import { createRuleIndex, type RulePlace } from "./rule-index.ts";

/** What a matching request means. */
export type Rule =
  | { readonly name: string; readonly public: true }
  | {
      readonly name: string;
      readonly public: false;
      readonly path: readonly TemplateSegment[];
      readonly action: EntityTemplate;
      readonly resource: EntityTemplate;
      readonly context: readonly (readonly [name: string, template: ContextTemplate])[];
    };

/** How requests are read, and what becomes of those that are let through. */
export interface MappingSettings {
  readonly credentials: CredentialPlaces;
  readonly paths: PathRules;
  /** Names the protection space in `WWW-Authenticate`. */
  readonly realm: string;
  /** Whether the credential is removed before the workload sees the request. */
  readonly stripCredential: boolean;
  /** Lower-case names of headers that are always removed. */
  readonly stripHeaders: readonly string[];
}

/** What a request is by the mapping. */
export type Mapped =
  | { readonly kind: "rule"; readonly rule: Rule; readonly segments: readonly string[] }
  /** No rule covers it. */
  | { readonly kind: "unmapped" }
  /** Its host or path can be read in more than one way, or in none. */
  | { readonly kind: "malformed" };

/** A mapping table, ready to be asked. */
export interface Mapping {
  readonly settings: MappingSettings;
  readonly ruleCount: number;
  map(request: CheckedRequest): Mapped;
}

/** @throws RuleConflictError */
export function createMapping(
  settings: MappingSettings,
  rules: readonly { readonly place: RulePlace; readonly rule: Rule }[],
): Mapping {
  const index = createRuleIndex(rules, settings.paths.ignoreCase);
  return {
    settings,
    ruleCount: rules.length,
    map(request) {
      const host = normalHost(request.host);
      const segments = pathSegments(request.target, settings.paths);
      if (host === undefined || segments === undefined) return { kind: "malformed" };
      const rule = index.find(request.destinationPrincipal, host, segments, request.method);
      return rule === undefined ? { kind: "unmapped" } : { kind: "rule", rule, segments };
    },
  };
}

/** Values of a path's variables by name. `**` takes its segments joined by slashes. */
export function pathVariables(
  path: readonly TemplateSegment[],
  segments: readonly string[],
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [index, segment] of path.entries()) {
    if (segment.kind === "literal" || segment.name === undefined) continue;
    const value = segment.kind === "rest" ? segments.slice(index).join("/") : segments[index];
    values.set(segment.name, value ?? "");
  }
  return values;
}
