import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  PolicyAdminService,
  WatchRevisionsResponseSchema,
} from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { CallContext, ServerStreamHandler } from "../../../shared/rpc/handler.ts";
import { fromActive } from "../../convert-admin.ts";
import type { ActivePolicies } from "../../domain/active-policies.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";
import type { ResidentEntities } from "../../domain/resident-entities.ts";

export interface WatchRevisionsDependencies {
  readonly lifecycle: PolicyLifecycle;
  readonly policies: ActivePolicies;
  readonly entities: ResidentEntities;
}

type Answer = MessageInitShape<typeof WatchRevisionsResponseSchema>;

/** `PolicyAdminService.WatchRevisions`. Changes that come faster than they can be sent are told as one. */
export function createWatchRevisionsHandler({
  lifecycle,
  policies,
  entities,
}: WatchRevisionsDependencies): ServerStreamHandler<typeof PolicyAdminService.method.watchRevisions> {
  return async function* (_request, call): AsyncGenerator<Answer> {
    let last = "";
    let changed = false;
    let wake: (() => void) | undefined;
    const stop = policies.onChange(() => {
      changed = true;
      wake?.();
    });
    try {
      while (!call.signal.aborted) {
        changed = false;
        const { active } = policies;
        const key = `${active?.revision}/${entities.revision}`;
        if (active !== undefined && key !== last) {
          last = key;
          const stored = await lifecycle.find(active.revision);
          yield { active: fromActive(active, stored, lifecycle.marks), entityRevision: BigInt(entities.revision) };
        }
        if (!changed) await woken(call, (resolve) => (wake = resolve));
      }
    } finally {
      stop();
    }
  };
}

/** Waits until woken, or until the call is over. */
function woken({ signal }: CallContext, onWake: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    onWake(done);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { once: true });
  });
}
