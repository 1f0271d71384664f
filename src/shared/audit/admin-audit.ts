import type { DescMethod, JsonObject, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Awaitable } from "../awaitable.ts";
import { redactMessage } from "../logger/redact-message.ts";
import type { CallContext } from "../rpc/handler.ts";
import { ServiceError } from "../service-error.ts";
import type { AuditName, AuditRecord } from "./audit-event.ts";
import type { AuditRecorder } from "./recorder.ts";

/** An administrative call: what is needed to tell of it. */
export interface AdminCall<M extends DescMethod> {
  readonly method: M;
  readonly request: MessageShape<M["input"]>;
  readonly context: Pick<CallContext, "peerAddress" | "requestId" | "traceparent">;
}

/**
 * Audits administrative calls: every one that changes something, however it ends, and of those that only read the ones that
 * are refused.
 *
 * @param guard answers who calls, or throws.
 * @param act does it. Not called when the event of a change cannot be kept.
 */
export type AdminAudit = <M extends DescMethod, A extends AuditName, T>(
  call: AdminCall<M>,
  guard: () => Promise<A>,
  act: (actor: A) => Awaitable<T>,
) => Promise<T>;

/** @param service the resource of calls that name nothing else: `auth` or `policy`. */
export function createAdminAudit(recorder: AuditRecorder, service: "auth" | "policy"): AdminAudit {
  return async (call, guard, act) => {
    let known: AuditName | undefined;
    const tell = (outcome: AuditRecord["outcome"], more: Partial<AuditRecord> = {}): AuditRecord => ({
      ...describe(call, service),
      actor: known && { type: known.type, id: known.id },
      outcome,
      ...more,
    });
    const actor = await guard().catch((error: unknown) => {
      // Anybody may have themselves refused, by the thousand.
      recorder.record(tell(...failure(error)), "soon");
      throw error;
    });
    known = actor;
    if (onlyReads(call.method)) return await act(actor);
    const intent = recorder.begin(tell("error"));
    try {
      const response = await act(actor);
      intent.end(withResult(tell("success"), response));
      return response;
    } catch (error) {
      intent.end(tell(...failure(error)));
      throw error;
    }
  };
}

function onlyReads({ idempotency, methodKind }: DescMethod): boolean {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS || methodKind === "server_streaming";
}

/** How a call ended that threw. */
export function failure(error: unknown): [AuditRecord["outcome"], { readonly reason: string }] {
  if (!(error instanceof ServiceError)) return ["error", { reason: "INTERNAL" }];
  const denied = error.code === "UNAUTHENTICATED" || error.code === "PERMISSION_DENIED";
  return [denied ? "denied" : "error", { reason: error.reason }];
}

function describe<M extends DescMethod>({ method, request, context }: AdminCall<M>, service: string) {
  const { peerAddress, requestId, traceparent } = context;
  const summary = summarize(redactMessage(method.input, request));
  return {
    operation: method.name,
    resource: targetOf(method.name, summary) ?? { type: "Gatehouse::Service", id: service },
    peerAddress,
    requestId,
    traceparent,
    details: { request: boundedJson(summary) },
  };
}

/** What a call is about, by the contracts' habit of naming it `user`, `name`, `id` or `revision`. */
function targetOf(rpc: string, { user, name, id, revision }: JsonObject): AuditName | undefined {
  const noun = rpc.replace(/^[A-Z][a-z]+/, "").replace(/^Password$/, "User");
  if (isName(user)) return { type: "Gatehouse::User", id: user };
  if (isName(name)) return { type: `Gatehouse::${noun}`, id: name };
  if (isName(id)) return { type: `Gatehouse::${noun}`, id };
  if (isName(revision)) return { type: "Gatehouse::Revision", id: revision };
  return undefined;
}

/** Adds what a change has made: a new thing's id, or the revision that is `active` now. */
function withResult(record: AuditRecord, response: unknown): AuditRecord {
  const fields = Object.entries((response ?? {}) as Readonly<Record<string, unknown>>);
  const made = fields.flatMap(([name, value]) => {
    const id = name === "active" ? value : (value as { readonly id?: unknown } | undefined)?.id;
    return isName(id) ? [[name === "active" ? name : `${name}Id`, id]] : [];
  });
  return { ...record, details: { ...record.details, ...Object.fromEntries(made) } };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

const maxText = 256;
const maxListed = 20;
const maxSummary = 8_192;
/** Fields whose values are whatever somebody has put there: only the names in them are told. */
const freeForm: ReadonlySet<string> = new Set(["attributes", "attrs", "tags", "context"]);

/** A request in which texts, lists and depth are bounded, and free-form values are left out. */
function summarize(json: JsonValue): JsonObject {
  return shorten(json, 0) as JsonObject;
}

function shorten(json: JsonValue, depth: number): JsonValue {
  if (typeof json === "string") return json.length > maxText ? `${json.slice(0, maxText)}…` : json;
  if (typeof json !== "object" || json === null) return json;
  if (depth > 4) return "…";
  if (Array.isArray(json)) {
    const shown = json.slice(0, maxListed).map((item) => shorten(item, depth + 1));
    return json.length > maxListed ? [...shown, `… ${json.length - maxListed} more`] : shown;
  }
  const entries = Object.entries(json).slice(0, maxListed);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      freeForm.has(name) && typeof value === "object" && value !== null
        ? shorten(Object.keys(value), depth + 1)
        : shorten(value, depth + 1),
    ]),
  );
}

function boundedJson(summary: JsonObject): string {
  const text = JSON.stringify(summary);
  return text.length <= maxSummary ? text : JSON.stringify({ fields: Object.keys(summary) });
}
