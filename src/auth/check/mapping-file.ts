import * as v from "valibot";
import { type Document, isNode, LineCounter, parseDocument } from "yaml";
import { compileRule, repeatedNames } from "./compile-rule.ts";
import { createMapping, type Mapping, type MappingSettings } from "./mapping.ts";
import { type MappingEntry, mappingSchema } from "./mapping-schema.ts";
import { RuleConflictError } from "./rule-index.ts";

/** All that is wrong with a mapping file, each with its line. */
export class MappingError extends Error {
  override readonly name = "MappingError";
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(`The mapping ${file} is not valid:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

type Path = readonly (string | number)[];

const maxBytes = 1_048_576;

/**
 * Reads a mapping from YAML or JSON.
 *
 * @param file Its name, for errors.
 * @throws MappingError with every fault at once.
 */
export function parseMapping(text: string, file: string): Mapping {
  if (Buffer.byteLength(text) > maxBytes) throw new MappingError(file, ["is larger than 1 MiB"]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: { line: number; text: string }[] = [];
  const faultAt = (path: Path, message: string): void => {
    problems.push({ line: lineOf(document, lines, path), text: `${dotted(path)} ${message}` });
  };
  for (const { pos, message } of document.errors) problems.push({ line: lines.linePos(pos[0]).line, text: message });

  const result = problems.length === 0 ? v.safeParse(mappingSchema, toPlain(document)) : undefined;
  for (const issue of result?.issues ?? []) faultAt(issue.path?.map(({ key }) => key as string) ?? [], issue.message);
  if (result?.success !== true) throw mappingError(file, problems);

  const { rules, ...rest } = result.output;
  const settings = settingsOf(rest);
  const compiled = rules.map((entry, index) =>
    compileRule(entry, index, settings, (key, message) => faultAt(["rules", index, ...key], message)),
  );
  for (const index of repeatedNames(compiled)) faultAt(["rules", index, "name"], "is the name of a rule before it");
  let mapping: Mapping | undefined;
  try {
    mapping = createMapping(settings, compiled);
  } catch (error) {
    if (!(error instanceof RuleConflictError)) throw error;
    for (const { position, message } of error.conflicts) faultAt(["rules", position], message);
  }
  if (problems.length > 0 || mapping === undefined) throw mappingError(file, problems);
  return mapping;
}

function toPlain(document: Document): unknown {
  // Aliases that multiply are refused by the parser's own limit, which throws.
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return error;
  }
}

function mappingError(file: string, problems: readonly { line: number; text: string }[]): MappingError {
  const sorted = problems.toSorted((a, b) => a.line - b.line);
  return new MappingError(
    file,
    sorted.map(({ line, text }) => `line ${line}: ${text}`),
  );
}

function dotted(path: Path): string {
  const text = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`)).join("");
  return text.replace(/^\./, "") || "the file";
}

/** Line of the value at a path, or of what is nearest above it. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range != null) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function settingsOf(file: Omit<MappingEntry, "rules">): MappingSettings {
  const { credentials, paths, strip, realm } = file;
  const { bearer, apiKeyHeader, sessionCookie, peer } = credentials;
  return {
    credentials: {
      bearer,
      apiKeyHeader: apiKeyHeader ?? undefined,
      sessionCookie: sessionCookie ?? undefined,
      peer: peer?.from,
      trustDomains: peer?.trustDomains ?? [],
      gateways: peer?.gateways ?? [],
    },
    paths,
    realm,
    stripCredential: strip.credential,
    stripHeaders: strip.headers,
  };
}
