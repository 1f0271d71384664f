import type { Json } from "../domain/principal.ts";

/** A place that a value is taken from. */
export type Source =
  | { readonly kind: "path"; readonly name: string }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "query"; readonly name: string }
  /** An attribute of the principal, by its path. */
  | { readonly kind: "claim"; readonly path: readonly string[] }
  | { readonly kind: "principal"; readonly name: PrincipalPart }
  | { readonly kind: "request"; readonly name: RequestPart };

const principalParts = ["id", "type"] as const;
const requestParts = ["method", "path", "host", "scheme", "address"] as const;
export type PrincipalPart = (typeof principalParts)[number];
export type RequestPart = (typeof requestParts)[number];

/** Text with values put in. */
export interface ValueTemplate {
  /** Text and sources in turn. */
  readonly parts: readonly (string | Source)[];
}

/** A template that is not well-formed. */
export class ValueTemplateError extends Error {
  override readonly name = "ValueTemplateError";
}

/** Answers the value of a source; undefined when the request has none. */
export type ValueLookup = (source: Source) => Json | undefined;

/**
 * Parses a template: text with `{id}` (a variable of the path), `{header:x-tenant}`, `{query:page}`, `{claim:team}`
 * (`{claim:org.unit}`), `{principal:id}`, `{request:method}`. `{{` and `}}` are braces.
 *
 * @throws ValueTemplateError
 */
export function parseValueTemplate(template: string): ValueTemplate {
  const parts: (string | Source)[] = [];
  let text = "";
  for (const [token] of template.matchAll(/\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]/g)) {
    if (token === "{{" || token === "}}") text += token[0];
    else if (token === "{" || token === "}") throw new ValueTemplateError(`has a "${token}" without its other half`);
    else if (token.startsWith("{")) {
      if (text !== "") parts.push(text);
      text = "";
      parts.push(parseSource(token.slice(1, -1)));
    } else text += token;
  }
  if (text !== "") parts.push(text);
  return { parts };
}

function parseSource(text: string): Source {
  const [, kind, name = ""] = /^(?:(\w+):)?(.+)$/.exec(text) ?? [];
  switch (kind) {
    case undefined:
      if (/^[A-Za-z_]\w*$/.test(name)) return { kind: "path", name };
      break;
    case "header":
      if (/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) return { kind, name: name.toLowerCase() };
      break;
    case "query":
      return { kind, name };
    case "claim":
      return { kind, path: name.split(".") };
    case "principal":
      if (includes(principalParts, name)) return { kind, name };
      break;
    case "request":
      if (includes(requestParts, name)) return { kind, name };
      break;
  }
  throw new ValueTemplateError(`has {${text}}, which is no place of a value`);
}

function includes<const T extends readonly string[]>(list: T, name: string): name is T[number] {
  return list.includes(name);
}

/** All that a template takes values from. */
export function sourcesOf({ parts }: ValueTemplate): readonly Source[] {
  return parts.filter((part) => typeof part !== "string");
}

/** The text of a template; undefined when a value is missing, empty, or neither text, number nor boolean. */
export function renderText({ parts }: ValueTemplate, lookup: ValueLookup): string | undefined {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const value = lookup(part);
    if (value === undefined || value === null || value === "" || typeof value === "object") return undefined;
    text += String(value);
  }
  return text;
}
