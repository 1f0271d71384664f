import { create, type JsonObject, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Decision } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { Entity, EntitySchema } from "../../gen/gatehouse/policy/v1/entity_pb.ts";
import {
  type GetShadowReportResponseSchema,
  type PolicyBundle,
  type PolicyBundleSchema,
  type PolicyFindingSchema,
  type RevisionSchema,
  Severity,
} from "../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { EvaluateRequestSchema } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { invalidArgument, ServiceError } from "../shared/service-error.ts";
import type { CedarJson, CedarJsonObject, EntityJson, EntityUid } from "./cedar/types.ts";
import { type Diagnostic, PolicySourceError } from "./control/diagnostics.ts";
import type { Query } from "./domain/evaluate.ts";
import type { PolicySource } from "./domain/policy-source.ts";
import type { StoredRevision } from "./domain/revision-store.ts";
import type { ComparedDecision, Comparison, ShadowReport } from "./domain/shadow.ts";
import type { Snapshot } from "./domain/snapshot.ts";

/** Which revisions are in use. */
export interface RevisionMarks {
  readonly active: string;
  readonly shadow: string;
}

/** A bundle that was validated by its contract. Two files of one name could not be told apart in findings. */
export function toSource(bundle: PolicyBundle | undefined): PolicySource {
  const { files = [], schema = "", links = "", skipFailingForbids = false } = bundle ?? {};
  const names = new Set<string>();
  for (const [index, { name }] of files.entries()) {
    if (names.has(name)) {
      throw invalidArgument([
        { field: `bundle.files[${index}].name`, description: "is the name of another file, too" },
      ]);
    }
    names.add(name);
  }
  return { files: files.map(({ name, text }) => ({ name, text })), schema, links, skipFailingForbids };
}

export function fromSource({ files, ...rest }: PolicySource): MessageInitShape<typeof PolicyBundleSchema> {
  return { files: files.map(({ name, text }) => ({ name, text })), ...rest };
}

/** Runs what compiles a bundle, whose findings become violations of its fields. */
export async function refusingFindings<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PolicySourceError)) throw error;
    throw new ServiceError("INVALID_ARGUMENT", "The policies are not valid.", {
      reason: "POLICIES_NOT_VALID",
      violations: error.diagnostics.slice(0, maxViolations).map((finding) => ({
        field: finding.file === undefined ? "bundle" : `bundle.files[${finding.file}]`,
        description: [placeOf(finding), finding.message, finding.help].filter(Boolean).join(": "),
      })),
    });
  }
}

/** Findings that fit the headers in which an error travels. */
const maxViolations = 50;

function placeOf({ line, column, policyId }: Diagnostic): string {
  const place = line === undefined ? "" : `line ${line}, column ${column}`;
  return policyId === undefined ? place : `${policyId}${place === "" ? "" : ` (${place})`}`;
}

export function fromDiagnostic(finding: Diagnostic): MessageInitShape<typeof PolicyFindingSchema> {
  const { severity, message, file = "", line = 0, column = 0, policyId = "", excerpt = "", help = "" } = finding;
  return {
    severity: severity === "error" ? Severity.ERROR : Severity.WARNING,
    message,
    file,
    line,
    column,
    policyId,
    excerpt,
    help,
  };
}

export function fromRevision(
  { id, contentHash, createTime, comment, policyCount }: StoredRevision,
  marks: RevisionMarks,
): MessageInitShape<typeof RevisionSchema> {
  return {
    id,
    contentHash,
    createTime: timestampFromMs(createTime),
    comment,
    policyCount,
    active: id === marks.active,
    shadow: id === marks.shadow,
  };
}

/** The active revision; that of a directory is in no store, so that less is known of it. */
export function fromActive(
  active: Snapshot,
  stored: StoredRevision | undefined,
  marks: RevisionMarks,
): MessageInitShape<typeof RevisionSchema> {
  if (stored !== undefined) return fromRevision(stored, { ...marks, active: stored.id });
  return { id: active.revision, policyCount: active.engine.policySet.policyIds.length, active: true };
}

export function fromShadowReport(
  comparison: Comparison | undefined,
  { evaluated, different, skipped, kinds }: ShadowReport,
): MessageInitShape<typeof GetShadowReportResponseSchema> {
  if (comparison === undefined) return {};
  return {
    revision: comparison.shadow,
    active: comparison.active,
    startTime: timestampFromMs(comparison.startTime),
    evaluated: BigInt(evaluated),
    different: BigInt(different),
    skipped: BigInt(skipped),
    differences: kinds.slice(0, maxDifferences).map(({ active, shadow, count, examples }) => ({
      activeDecision: toDecision(active),
      activePolicies: [...active.policies],
      shadowDecision: toDecision(shadow),
      shadowPolicies: [...shadow.policies],
      count: BigInt(count),
      examples: examples.map(fromQuery),
    })),
  };
}

/** Kinds of differences that a report lists (policy_admin_service.proto). */
const maxDifferences = 100;

function toDecision({ decision }: ComparedDecision): Decision {
  return { ALLOW: Decision.ALLOW, DENY: Decision.DENY, NONE: Decision.UNSPECIFIED }[decision];
}

function fromQuery({ principal, action, resource, context, entities = [] }: Query) {
  return create(EvaluateRequestSchema, {
    principal,
    action,
    resource,
    context: toStruct(context),
    entities: entities.map(fromEntity),
  });
}

/** An entity to keep: nothing of the message that it came in is kept with it. */
export function toResidentEntity({ uid, attrs = {}, parents, tags = {} }: Entity): EntityJson {
  return { uid: toPlainUid(uid as EntityUid), attrs, parents: parents.map(toPlainUid), tags };
}

export function toPlainUid({ type, id }: EntityUid): EntityUid {
  return { type, id };
}

/** A resident entity. Its values are in the explicit form of Cedar's JSON. */
export function fromEntity({
  uid,
  attrs = {},
  parents = [],
  tags = {},
}: EntityJson): MessageInitShape<typeof EntitySchema> {
  return {
    uid: uid as EntityUid,
    attrs: toStruct(attrs),
    parents: parents.map((parent) => ({ ...(parent as EntityUid) })),
    ...(Object.keys(tags).length === 0 ? {} : { tags: toStruct(tags) }),
  };
}

function toStruct(object: CedarJsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, toJson(value)]));
}

/** A Long that a JSON number cannot hold is told as text, marked, rather than rounded. */
function toJson(value: CedarJson): JsonValue {
  if (typeof value === "bigint") return { __long: value.toString() };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === "object" && value !== null) return toStruct(value as CedarJsonObject);
  return value as JsonValue;
}

export function toPageToken({ type, id }: EntityUid): string {
  return Buffer.from(JSON.stringify([type, id])).toString("base64url");
}

/** @throws ServiceError INVALID_ARGUMENT when it is no token of ours. */
export function uidFromPageToken(token: string): EntityUid | undefined {
  if (token === "") return undefined;
  try {
    const [type, id] = JSON.parse(Buffer.from(token, "base64url").toString()) as unknown[];
    if (typeof type === "string" && typeof id === "string") return { type, id };
  } catch {
    // Told below.
  }
  throw invalidArgument([{ field: "page_token", description: "is not one that was answered before" }]);
}
