import { readFileSync } from "node:fs";
import * as v from "valibot";
import { readYamlFile } from "../yaml-file.ts";
import { isFetchableUrl } from "./fetchable-url.ts";
import { type IssuerEntry, issuersSchema } from "./issuers-schema.ts";

/** All that is wrong with an issuers file, each with its line. */
export class IssuersError extends Error {
  override readonly name = "IssuersError";
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(`The issuers ${file} are not valid:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/** @throws IssuersError when it cannot be read, or with every fault at once. */
export function readIssuers(path: string): readonly IssuerEntry[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new IssuersError(path, [`cannot be read: ${(error as Error).message}`]);
  }
  return parseIssuers(text, path);
}

/**
 * Reads issuers from YAML or JSON.
 *
 * @param file Its name, for errors.
 * @throws IssuersError with every fault at once.
 */
export function parseIssuers(text: string, file: string): readonly IssuerEntry[] {
  const yaml = readYamlFile(text);
  const result = yaml.problems.length === 0 ? v.safeParse(issuersSchema, yaml.value) : undefined;
  for (const issue of result?.issues ?? []) {
    yaml.fault(issue.path?.map(({ key }) => key as string) ?? [], issue.message);
  }
  const issuers = result?.success === true ? result.output.issuers : [];
  for (const [index, entry] of issuers.entries()) {
    const before = issuers.slice(0, index);
    for (const message of faultsOf(entry, before)) yaml.fault(["issuers", index], message);
  }
  if (yaml.problems.length > 0) throw new IssuersError(file, yaml.problems);
  return issuers;
}

function faultsOf(entry: IssuerEntry, before: readonly IssuerEntry[]): readonly string[] {
  const faults: string[] = [];
  if ((entry.principal === undefined) === (entry.kubernetes === undefined)) {
    faults.push("must have either principal or kubernetes");
  }
  if (entry.jwksUri === undefined && !isFetchableUrl(entry.issuer)) {
    faults.push("must be an https URL (http on loopback only), or have a jwksUri");
  }
  if (before.some(({ issuer }) => issuer === entry.issuer)) faults.push("is an issuer that is there before");
  if (before.some((other) => overlap(idSpace(entry), idSpace(other)))) {
    faults.push(
      "could have the same principals as an issuer before it: give them prefixes of which none begins another",
    );
  }
  if (entry.tokenFile !== undefined && !(entry.jwksUri ?? entry.issuer).startsWith("https:")) {
    faults.push("would show the token of tokenFile to a server that is not asked by https");
  }
  const { refresh, maxAge, cooldown } = entry.keys;
  if (maxAge < refresh) faults.push("must keep its keys (keys.maxAge) for longer than until the next refresh");
  if (cooldown > maxAge) faults.push("must have a cooldown that is no longer than keys.maxAge");
  return faults;
}

/** Type and beginning of the ids that an issuer gives. */
function idSpace({ principal, kubernetes }: IssuerEntry): string {
  if (kubernetes !== undefined) return `Workload spiffe://${kubernetes.trustDomain}/`;
  return principal === undefined ? "none" : `${principal.type} ${principal.id.prefix}`;
}

function overlap(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}
