import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type {
  AuthenticateRequest,
  AuthenticateResponseSchema,
  AuthorizeRequest,
  AuthorizeResponseSchema,
  SecondFactor,
} from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { PrincipalSchema, SessionSchema, TokenSetSchema } from "../../gen/gatehouse/auth/v1/principal_pb.ts";
import type { CallContext } from "../shared/rpc/handler.ts";
import { invalidArgument } from "../shared/service-error.ts";
import { acrOf } from "./domain/acr.ts";
import type { AccessRequest, Authorization, DecisionCall } from "./domain/authorizer.ts";
import type { Authentication, Credential } from "./domain/credentials/credential.ts";
import type { Principal } from "./domain/principal.ts";
import type { SecondFactorProof } from "./domain/second-factors.ts";
import type { Session } from "./domain/sessions.ts";

/** @throws ServiceError INVALID_ARGUMENT when no credential is set. */
export function credentialOf({ credential }: AuthenticateRequest | AuthorizeRequest): Credential {
  switch (credential.case) {
    case "password":
      return { kind: "password", username: credential.value.username, password: credential.value.password };
    case "bearerToken":
      return { kind: "bearerToken", token: credential.value };
    case "apiKey":
      return { kind: "apiKey", key: credential.value };
    case "client":
      return { kind: "client", clientId: credential.value.clientId, clientSecret: credential.value.clientSecret };
    case "externalToken":
      return { kind: "externalToken", token: credential.value };
    case "peer":
      return { kind: "peer" };
    case undefined:
      throw invalidArgument([{ field: "credential", description: "exactly one must be set" }]);
  }
}

/** @throws ServiceError INVALID_ARGUMENT when there is a second factor beside anything but a password. */
export function withSecondFactor(credential: Credential, secondFactor: SecondFactor | undefined): Credential {
  if (secondFactor === undefined) return credential;
  if (credential.kind !== "password") {
    throw invalidArgument([{ field: "second_factor", description: "goes with a password only" }]);
  }
  return { ...credential, secondFactor: proofOf(secondFactor) };
}

function proofOf({ factor }: SecondFactor): SecondFactorProof {
  switch (factor.case) {
    case "totpCode":
      return { kind: "totp", code: factor.value };
    case "backupCode":
      return { kind: "backupCode", code: factor.value };
    case undefined:
      throw invalidArgument([{ field: "second_factor.factor", description: "exactly one must be set" }]);
  }
}

/** @throws ServiceError INVALID_ARGUMENT when the action or the resource is missing. */
export function accessOf({ action, resource, context }: AuthorizeRequest): AccessRequest {
  if (action === undefined) throw invalidArgument([{ field: "action", description: "is required" }]);
  if (resource === undefined) throw invalidArgument([{ field: "resource", description: "is required" }]);
  return {
    action: { type: action.type, id: action.id },
    resource: { type: resource.type, id: resource.id },
    context: context ?? {},
  };
}

/** What the domain is told of a call. */
export function callOf(context: CallContext): DecisionCall {
  const { signal, peerAddress, peerPrincipal, deadline, traceparent, requestId } = context;
  const forwardedClientCert = context.header("x-forwarded-client-cert");
  const forwardedFor = context.header("x-forwarded-for");
  return {
    signal,
    peerAddress,
    traceparent,
    requestId,
    ...(peerPrincipal === undefined ? {} : { peerPrincipal }),
    ...(forwardedClientCert === undefined ? {} : { forwardedClientCert }),
    ...(forwardedFor === undefined ? {} : { forwardedFor }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

export function authenticateResponse(
  authentication: Authentication,
  tokens?: MessageInitShape<typeof TokenSetSchema>,
): MessageInitShape<typeof AuthenticateResponseSchema> {
  const { principal, session, sessionToken, expireTime, apiKey } = authentication;
  return {
    principal: toPrincipal(principal),
    ...(session === undefined ? {} : { session: toSession(session) }),
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(tokens === undefined ? {} : { tokens }),
    ...(expireTime === undefined ? {} : { expireTime: timestampFromMs(expireTime) }),
    apiKeyScopes: [...(apiKey?.scopes ?? [])],
  };
}

export function authorizeResponse(authorization: Authorization): MessageInitShape<typeof AuthorizeResponseSchema> {
  const { principal, decision, stepUp } = authorization;
  const { allowed, determiningPolicies, revision, decisionId } = decision;
  return {
    allowed,
    principal: toPrincipal(principal),
    determiningPolicies: [...determiningPolicies],
    revision,
    decisionId,
    stepUp: [...stepUp],
  };
}

export function toPrincipal({ type, id, roles, attributes }: Principal): MessageInitShape<typeof PrincipalSchema> {
  return { type, id, roles: [...roles], attributes: attributes as JsonObject };
}

export function toSession(session: Session): MessageInitShape<typeof SessionSchema> {
  return {
    id: session.id,
    createTime: timestampFromMs(session.createTime),
    lastUsedTime: timestampFromMs(session.lastUsedTime),
    idleExpireTime: timestampFromMs(session.idleExpireTime),
    expireTime: timestampFromMs(session.expireTime),
    amr: [...session.amr],
    acr: acrOf(session.amr),
  };
}
