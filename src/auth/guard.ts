import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { looksLikeApiKey } from "../shared/api-key-form.ts";
import type { AdminAudit } from "../shared/audit/admin-audit.ts";
import type { Awaitable } from "../shared/awaitable.ts";
import type { CallContext, Handlers } from "../shared/rpc/handler.ts";
import { ServiceError } from "../shared/service-error.ts";
import { callOf } from "./convert.ts";
import type { DecisionPoint } from "./domain/authorizer.ts";
import type { Authenticator } from "./domain/credentials/authenticator.ts";
import type { Credential } from "./domain/credentials/credential.ts";
import type { Principal } from "./domain/principal.ts";
import { isInScope } from "./domain/scope.ts";
import { credentialMissing, permissionDenied, policyUnavailable } from "./errors.ts";

export interface GuardOptions {
  readonly authenticate: Authenticator;
  readonly decide: DecisionPoint;
  /** RetryInfo of a refusal for want of a decision, in milliseconds. */
  readonly retryAfterMs: number;
}

/**
 * Lets a call pass if policies permit its caller the method, and answers who the caller is.
 *
 * The credential comes in the `authorization: Bearer …` header: a session token, an access token or an API key. The question
 * is whether `Gatehouse::User::"<id>"`, with the attribute `roles`, may do `Gatehouse::Action::"<method>"` to
 * `Gatehouse::Service::"auth"`.
 *
 * @throws ServiceError UNAUTHENTICATED; PERMISSION_DENIED for any answer but an ALLOW; UNAVAILABLE when there is none.
 */
export type Guard = (context: CallContext) => Promise<Principal>;

const service = { type: "Gatehouse::Service", id: "auth" };

export function createGuard({ authenticate, decide, retryAfterMs }: GuardOptions): Guard {
  return async (context) => {
    const call = callOf(context);
    const authentication = await authenticate(credentialOf(bearerTokenOf(context)), call);
    const { principal } = authentication;
    const action = { type: "Gatehouse::Action", id: context.method.slice(context.method.lastIndexOf("/") + 1) };
    if (!isInScope(authentication, action)) throw permissionDenied();
    const question = {
      principal: { type: `Gatehouse::${principal.type}`, id: principal.id },
      attributes: { roles: principal.roles },
      action,
      resource: service,
      context: {},
    };
    const { allowed } = await decide(question, call).catch((error: unknown) => {
      // The question is ours: that it does not fit the policies is no fault of the caller.
      const ours = error instanceof ServiceError && error.code === "INVALID_ARGUMENT";
      throw ours ? policyUnavailable(retryAfterMs, error) : error;
    });
    if (!allowed) throw permissionDenied();
    return principal;
  };
}

/**
 * The credential in a call's `authorization: Bearer …` header.
 *
 * @throws ServiceError UNAUTHENTICATED (reason CREDENTIAL_MISSING)
 */
export function bearerTokenOf(context: CallContext): string {
  const token = /^bearer +(?<token>[\x21-\x7e]+)$/i.exec(context.header("authorization") ?? "")?.groups?.token;
  if (token === undefined) throw credentialMissing();
  return token;
}

function credentialOf(token: string): Credential {
  return looksLikeApiKey(token) ? { kind: "apiKey", key: token } : { kind: "bearerToken", token };
}

/** Answers a request of a caller who may make it. */
export type GuardedHandler<M extends DescMethod> = (
  request: MessageShape<M["input"]>,
  context: CallContext,
  caller: Principal,
) => Awaitable<MessageInitShape<M["output"]>>;

/** Handlers of the unary methods of a service, by method name. */
export type GuardedHandlers<S extends DescService> = {
  readonly [K in keyof S["method"]]?: GuardedHandler<S["method"][K]>;
};

/** Puts a guard before each handler of a service, and has its calls audited. */
export function guarded<S extends DescService>(
  service: S,
  guard: Guard,
  audit: AdminAudit,
  handlers: GuardedHandlers<S>,
): Handlers<S> {
  const methods: Readonly<Record<string, DescMethod>> = service.method;
  const entries = Object.entries(handlers) as [string, GuardedHandler<DescMethod>][];
  const wrapped = entries.map(([name, handle]) => {
    const method = methods[name]!;
    const answer = (request: MessageShape<DescMethod["input"]>, context: CallContext) =>
      audit(
        { method, request, context },
        () => guard(context),
        (caller) => handle(request, context, caller),
      );
    return [name, answer];
  });
  return Object.fromEntries(wrapped) as Handlers<S>;
}
