import { createEntityStore, type EntityStore } from "../cedar/entity-store.ts";
import { EntityError, PolicyCompileError, ValueError } from "../cedar/errors.ts";
import { type CompiledPolicySet, createPolicySet } from "../cedar/policy-set.ts";
import type { EntityJson, PolicySetJson, TemplateLinkJson } from "../cedar/types.ts";
import type { CedarControl } from "../control/cedar-control.ts";
import { type Diagnostic, diagnosticAt, hasErrors, PolicySourceError, SourceText } from "../control/diagnostics.ts";
import type { ParsedSchema } from "../control/schema-source.ts";
import type { ParsedPolicies, SourceFile } from "../control/sources.ts";
import { actionEntities, type NormalizedEntity, normalizeEntities } from "../domain/entity-normalizer.ts";
import { ExactJsonError, parseExactJson } from "../domain/exact-json.ts";
import { DEFAULT_FILE_LIMITS, type FileLimits, type PolicyFiles, readPolicyFiles } from "./policy-files.ts";

/** What a policy directory holds, parsed and, where there is a schema, validated. */
export type PolicyDirectory = {
  readonly policySet: Required<PolicySetJson>;
  /** The policies with their sources. */
  readonly policies: ParsedPolicies;
  readonly schema: ParsedSchema | undefined;
  /** In explicit form; those of the schema's actions included. */
  readonly entities: readonly NormalizedEntity[];
  /** What the evaluator makes of the policies and of the entities. */
  readonly compiled: { readonly policySet: CompiledPolicySet; readonly entities: EntityStore };
  /** Findings that refuse nothing. */
  readonly warnings: readonly Diagnostic[];
  /** SHA-256 of the content, in hex. */
  readonly contentHash: string;
};

/**
 * Loads a directory: policies in the order of their file names, with a schema validated strictly, entities checked
 * against it and made explicit, and both compiled.
 *
 * @throws PolicySourceError with every finding, when any is an error
 * @throws PolicyDirectoryError when the directory cannot be read
 */
export async function loadPolicyDirectory(
  directory: string,
  control: CedarControl,
  limits: FileLimits = DEFAULT_FILE_LIMITS,
): Promise<PolicyDirectory> {
  return parsePolicyFiles(await readPolicyFiles(directory, limits), control);
}

/** Does the same with files that have been read. */
export async function parsePolicyFiles(files: PolicyFiles, control: CedarControl): Promise<PolicyDirectory> {
  const findings: Diagnostic[] = [];
  const links = await collect(findings, async () => (files.links ? parseLinks(files.links) : []));
  const policies = await collect(findings, () => control.parsePolicies(files.policies, { links: links ?? [] }));
  const schema = await collect(findings, async () => files.schema && (await control.parseSchema(files.schema)));
  findings.push(...(schema?.warnings ?? []));
  if (policies && schema) findings.push(...(await control.validate(policies, schema)));
  const listed = files.entities.flatMap((file) => readEntities(file, schema, findings));
  const entities = schema ? withActions(listed, schema) : listed;
  const compiled = policies && !hasErrors(findings) ? compile(policies, entities, findings) : undefined;
  if (!policies || !compiled) throw new PolicySourceError(findings);
  return {
    policySet: policies.policySet,
    policies,
    schema,
    entities,
    compiled,
    warnings: findings,
    contentHash: files.contentHash,
  };
}

/** Runs one step, keeping its findings: a fault in one file does not hide those in the next. */
async function collect<T>(findings: Diagnostic[], step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof PolicySourceError)) throw error;
    findings.push(...error.diagnostics);
    return undefined;
  }
}

/** Compiles what is valid Cedar; what the evaluator refuses (too deep, too large, a cycle) is a finding, too. */
function compile(
  policies: ParsedPolicies,
  entities: readonly NormalizedEntity[],
  findings: Diagnostic[],
): PolicyDirectory["compiled"] | undefined {
  try {
    return { policySet: createPolicySet(policies.policySet), entities: createEntityStore(entities) };
  } catch (error) {
    if (error instanceof PolicyCompileError) {
      const { policyId, reason } = error;
      const place = policies.policies.find(({ id }) => id === policyId)?.place;
      findings.push(diagnosticAt(place, { severity: "error", message: reason, policyId }));
    } else if (error instanceof EntityError || error instanceof ValueError) {
      findings.push({ severity: "error", message: error.message });
    } else {
      throw error;
    }
    return undefined;
  }
}

function withActions(entities: readonly NormalizedEntity[], { schema }: ParsedSchema): NormalizedEntity[] {
  return [...entities.filter(({ uid }) => !schema.actions.get(uid.type)?.has(uid.id)), ...actionEntities(schema)];
}

function readEntities(file: SourceFile, schema: ParsedSchema | undefined, findings: Diagnostic[]): NormalizedEntity[] {
  const json = readJson(file, findings);
  if (json === undefined) return [];
  if (!Array.isArray(json)) {
    findings.push({ severity: "error", file: file.name, message: "expected a list of entities" });
    return [];
  }
  const { entities, faults } = normalizeEntities(json as unknown as EntityJson[], schema?.schema);
  for (const { index, uid, path, reason } of faults) {
    findings.push({ severity: "error", file: file.name, message: `${uid ?? `entity ${index}`}: ${path}: ${reason}` });
  }
  return entities as NormalizedEntity[];
}

async function parseLinks(file: SourceFile): Promise<TemplateLinkJson[]> {
  const findings: Diagnostic[] = [];
  const json = readJson(file, findings);
  const message = 'expected a list of {"templateId": string, "newId": string, "values": {"?principal": entity, …}}';
  if (findings.length === 0 && !(Array.isArray(json) && json.every(isLink))) {
    findings.push({ severity: "error", file: file.name, message });
  }
  if (findings.length > 0) throw new PolicySourceError(findings);
  return json as unknown as TemplateLinkJson[];
}

function isLink(link: unknown): boolean {
  const { templateId, newId, values } = (link ?? {}) as Record<string, unknown>;
  const isUid = (uid: unknown): boolean => {
    const { type, id } = (uid ?? {}) as Record<string, unknown>;
    return typeof type === "string" && typeof id === "string";
  };
  const filled = typeof values === "object" && values !== null && Object.values(values).every(isUid);
  return typeof templateId === "string" && typeof newId === "string" && filled;
}

function readJson({ name, text }: SourceFile, findings: Diagnostic[]): unknown {
  try {
    return parseExactJson(text);
  } catch (error) {
    if (!(error instanceof ExactJsonError)) throw error;
    const place = { source: new SourceText(name, text), start: error.offset, end: error.offset + 1 };
    findings.push(diagnosticAt(place, { severity: "error", message: error.message }));
    return undefined;
  }
}
