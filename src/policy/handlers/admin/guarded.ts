import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { AdminAudit } from "../../../shared/audit/admin-audit.ts";
import type { CallContext, ServerStreamHandler, UnaryHandler } from "../../../shared/rpc/handler.ts";
import type { AdminGuard, AdminPrincipal } from "../../domain/admin-guard.ts";

/** Wraps the handlers of administrative RPCs, so that none is served without its guard. */
export interface Guarded {
  unary<M extends DescMethodUnary>(method: M, handler: UnaryHandler<M>): UnaryHandler<M>;
  stream<M extends DescMethodServerStreaming>(method: M, handler: ServerStreamHandler<M>): ServerStreamHandler<M>;
}

/** Guards handlers, has their calls audited, and logs each with who made it. */
export function createGuarded(guard: AdminGuard, audit: AdminAudit): Guarded {
  const admit = async (call: CallContext, rpc: string): Promise<AdminPrincipal> => {
    const principal = await guard(call, rpc);
    call.logger.info({ rpc, principal: `${principal.type}::${principal.id}` }, "administers");
    return principal;
  };
  return {
    unary: (method, handler) => (request, call) =>
      audit(
        { method, request, context: call },
        () => admit(call, method.name),
        () => handler(request, call),
      ),
    stream: (method, handler) =>
      async function* (request, call) {
        await audit(
          { method, request, context: call },
          () => admit(call, method.name),
          () => undefined,
        );
        yield* handler(request, call);
      },
  };
}
