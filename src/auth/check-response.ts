import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction as HeaderAppendAction,
  type HeaderValueOptionSchema,
} from "../../gen/envoy/config/core/v3/base_pb.ts";
import type { CheckResponseSchema } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { StatusCode as HttpStatus } from "../../gen/envoy/type/v3/http_status_pb.ts";
import { type StatusCode, statusCodes } from "../shared/service-error.ts";
import type { Verdict } from "./check/checker.ts";
import { withoutCookie } from "./check/cookies.ts";
import type { MappingSettings } from "./check/mapping.ts";
import { type CheckedRequest, isGrpc } from "./check/request.ts";
import type { Credential } from "./domain/credentials/credential.ts";
import type { Principal } from "./domain/principal.ts";

type Response = MessageInitShape<typeof CheckResponseSchema>;
type HttpResponse = NonNullable<Response["httpResponse"]>;
type Header = MessageInitShape<typeof HeaderValueOptionSchema>;

/** Headers that a workload may trust. They are set or removed on every request that is let through. */
const identityHeaders: readonly string[] = [
  "x-gatehouse-principal",
  "x-gatehouse-roles",
  "x-gatehouse-session",
  "x-gatehouse-decision-id",
  "x-gatehouse-jwt",
  "user-id",
];

/** What a refusal looks like to the caller. */
interface Refusal {
  readonly status: HttpStatus;
  readonly code: StatusCode;
  readonly message: string;
  readonly headers?: readonly Header[];
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * What Envoy is told. A refusal is always a denied response and never an error of the call: a proxy that is set to let
 * requests through on errors must not do so on ours.
 */
export function checkResponse(verdict: Verdict, request: CheckedRequest, settings?: MappingSettings): Response {
  const rest = { dynamicMetadata: metadataOf(verdict) };
  if (verdict.kind === "allowed" || verdict.kind === "public") {
    return { status: { code: statusCodes.OK }, httpResponse: okResponse(verdict, request, settings), ...rest };
  }
  const refusal = refusalOf(verdict, settings?.realm ?? "gatehouse");
  return {
    status: { code: statusCodes[refusal.code], message: refusal.message },
    httpResponse: deniedResponse(refusal, isGrpc(request)),
    ...rest,
  };
}

function okResponse(
  verdict: Extract<Verdict, { kind: "allowed" | "public" }>,
  request: CheckedRequest,
  settings: MappingSettings | undefined,
): HttpResponse {
  const headers = verdict.kind === "allowed" ? identityOf(verdict) : [];
  const removed = new Set([
    ...identityHeaders,
    // Servers that hand headers on as variables take `_` for `-`.
    ...request.headerNames.filter((name) => isReserved(name.replaceAll("_", "-"))),
    ...(settings?.stripHeaders ?? []),
  ]);
  if (settings?.stripCredential === true && verdict.kind === "allowed" && verdict.found.kind === "credential") {
    const { header } = verdict.found;
    const { sessionCookie } = settings.credentials;
    const left =
      header === "cookie" && sessionCookie !== undefined
        ? withoutCookie(request.header("cookie") ?? "", sessionCookie)
        : "";
    if (left === "") removed.add(header);
    else headers.push(["cookie", left]);
  }
  const set = new Set(headers.map(([name]) => name));
  return {
    case: "okResponse",
    value: {
      headers: headers.map(([name, value]) => overwrite(name, value)),
      // Envoy removes after it sets.
      headersToRemove: [...removed].filter((name) => !set.has(name)),
    },
  };
}

function isReserved(name: string): boolean {
  return name.startsWith("x-gatehouse-") || name === "user-id";
}

function identityOf(verdict: Extract<Verdict, { kind: "allowed" }>): [name: string, value: string][] {
  const { principal, session } = verdict.authentication;
  const headers: [string, string][] = [
    ["x-gatehouse-principal", uidText(principal)],
    ["x-gatehouse-decision-id", verdict.authorization.decision.decisionId],
    // For the consistent hash.
    ["user-id", encodeURIComponent(principal.id)],
  ];
  if (principal.roles.length > 0)
    headers.push(["x-gatehouse-roles", principal.roles.map(encodeURIComponent).join(",")]);
  if (session !== undefined) headers.push(["x-gatehouse-session", session.id]);
  const jwt = verdict.found.kind === "credential" ? jwtOf(verdict.found.credential) : undefined;
  if (jwt !== undefined) headers.push(["x-gatehouse-jwt", jwt]);
  return headers;
}

/** The token that was accepted, if it is a JWT: filters for JWTs look for it here, and never meet one of another form. */
function jwtOf(credential: Credential): string | undefined {
  if (credential.kind !== "bearerToken") return undefined;
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential.token) ? credential.token : undefined;
}

/** As policies write it, `User::"alice"`, with Cedar's escapes for what a header cannot hold. */
function uidText({ type, id }: Pick<Principal, "type" | "id">): string {
  const escaped = id.replace(/["\\]|[^\x20-\x7e]/gu, (character) =>
    character === '"' || character === "\\" ? `\\${character}` : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  return `${type}::"${escaped}"`;
}

function refusalOf(verdict: Exclude<Verdict, { kind: "allowed" | "public" }>, realm: string): Refusal {
  switch (verdict.kind) {
    case "unauthenticated": {
      // RFC 6750 section 3: no error code for a request without a credential.
      const challenge = `Bearer realm="${realm}"${verdict.presented ? ', error="invalid_token"' : ""}`;
      const message = verdict.presented ? "The credential is not valid." : "A credential is needed.";
      return {
        status: HttpStatus.Unauthorized,
        code: "UNAUTHENTICATED",
        message,
        headers: [overwrite("www-authenticate", challenge)],
      };
    }
    case "denied": {
      const { decision, stepUp } = verdict.authorization;
      const { decisionId } = decision;
      // A denial without a question to policy-service has no id.
      const named = decisionId === "" ? [] : [overwrite("x-gatehouse-decision-id", decisionId)];
      const hints = stepUp.length === 0 ? [] : [overwrite("x-gatehouse-step-up", stepUp.join(","))];
      return {
        status: HttpStatus.Forbidden,
        code: "PERMISSION_DENIED",
        message: "This is not permitted.",
        headers: [...named, ...hints],
        details: { ...(decisionId === "" ? {} : { decisionId }), ...(stepUp.length === 0 ? {} : { stepUp }) },
      };
    }
    case "unmapped":
      return { status: HttpStatus.Forbidden, code: "PERMISSION_DENIED", message: "This is not permitted." };
    case "malformed":
      return { status: HttpStatus.BadRequest, code: "INVALID_ARGUMENT", message: "The request is not acceptable." };
    case "unavailable":
      return {
        status: HttpStatus.ServiceUnavailable,
        code: "UNAVAILABLE",
        message: "It cannot be decided now whether this is permitted.",
        headers: [overwrite("retry-after", "1")],
      };
  }
}

/** JSON in the form of Connect's errors; of a gRPC request Envoy makes the body its `grpc-message`. */
function deniedResponse(refusal: Refusal, grpc: boolean): HttpResponse {
  const { status, code, message, headers = [], details = {} } = refusal;
  const body = grpc ? message : JSON.stringify({ code: code.toLowerCase(), message, ...details });
  const more = grpc
    ? [overwrite("grpc-status", String(statusCodes[code]))]
    : [overwrite("content-type", "application/json")];
  return {
    case: "deniedResponse",
    value: { status: { code: status }, headers: [...headers, ...more], body },
  };
}

function overwrite(key: string, value: string): Header {
  return { header: { key, value }, appendAction: HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD };
}

/** For Envoy's access log and the filters after it, under `envoy.filters.http.ext_authz`. */
function metadataOf(verdict: Verdict): JsonObject {
  const rule = "rule" in verdict ? { rule: verdict.rule } : {};
  if (verdict.kind !== "allowed" && verdict.kind !== "denied") return { outcome: verdict.kind, ...rule };
  const { principal, decision } = verdict.authorization;
  return {
    outcome: verdict.kind,
    ...rule,
    principal: uidText(principal),
    decision_id: decision.decisionId,
    policy_revision: decision.revision,
    determining_policies: [...decision.determiningPolicies],
  };
}
