import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { CallContext, ServerStreamHandler, UnaryHandler } from "../../../shared/rpc/handler.ts";
import type { AdminGuard, AdminPrincipal } from "../../domain/admin-guard.ts";

/** Wraps the handlers of administrative RPCs, so that none is served without its guard. */
export interface Guarded {
  unary<M extends DescMethodUnary>(method: M, handler: UnaryHandler<M>): UnaryHandler<M>;
  stream<M extends DescMethodServerStreaming>(method: M, handler: ServerStreamHandler<M>): ServerStreamHandler<M>;
}

/** Guards handlers, and logs each change with who made it. */
export function createGuarded(guard: AdminGuard): Guarded {
  return {
    unary: (method, handler) => async (request, call) => {
      const principal = await guard(call, method.name);
      const response = await handler(request, call);
      logAct(call, method.name, principal);
      return response;
    },
    stream: (method, handler) =>
      async function* (request, call) {
        const principal = await guard(call, method.name);
        logAct(call, method.name, principal);
        yield* handler(request, call);
      },
  };
}

function logAct({ logger }: CallContext, rpc: string, { type, id }: AdminPrincipal): void {
  logger.info({ rpc, principal: `${type}::${id}` }, "administered");
}
