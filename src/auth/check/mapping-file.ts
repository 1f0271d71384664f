import * as v from "valibot";
import { readYamlFile } from "../yaml-file.ts";
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

/**
 * Reads a mapping from YAML or JSON.
 *
 * @param file Its name, for errors.
 * @throws MappingError with every fault at once.
 */
export function parseMapping(text: string, file: string): Mapping {
  const yaml = readYamlFile(text);
  const result = yaml.problems.length === 0 ? v.safeParse(mappingSchema, yaml.value) : undefined;
  for (const issue of result?.issues ?? []) {
    yaml.fault(issue.path?.map(({ key }) => key as string) ?? [], issue.message);
  }
  if (result?.success !== true) throw new MappingError(file, yaml.problems);

  const { rules, ...rest } = result.output;
  const settings = settingsOf(rest);
  const compiled = rules.map((entry, index) =>
    compileRule(entry, index, settings, (key, message) => yaml.fault(["rules", index, ...key], message)),
  );
  for (const index of repeatedNames(compiled)) yaml.fault(["rules", index, "name"], "is the name of a rule before it");
  let mapping: Mapping | undefined;
  try {
    mapping = createMapping(settings, compiled);
  } catch (error) {
    if (!(error instanceof RuleConflictError)) throw error;
    for (const { position, message } of error.conflicts) yaml.fault(["rules", position], message);
  }
  if (yaml.problems.length > 0 || mapping === undefined) throw new MappingError(file, yaml.problems);
  return mapping;
}

function settingsOf(file: Omit<MappingEntry, "rules">): MappingSettings {
  const { credentials, paths, strip, realm } = file;
  const { bearer, issuers = [], apiKeyHeader, sessionCookie, peer } = credentials;
  return {
    credentials: {
      bearer,
      issuers,
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
